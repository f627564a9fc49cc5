--[[
  Edits one job: its data, its priority, its delay; and on request retries it, in the same step.

  Does what BullMQ's Job.updateData, changePriority and changeDelay do (scripts updateData ≥1.68.1,
  changePriority ≥3.15.0, changeDelay ≥1.37.0), in any state, without the faults of single releases:
  a job whose priority becomes 0 leaves `prioritized` (4.0.0 to 5.8.2 left it there), a new delay
  wakes workers that sleep too long for it (3.1.1 to 5.1.8 did not), nothing is pushed to a list
  that a resume would lose. Like BullMQ it adds an event for a new delay only.

  Nothing is done by halves. All is read before anything is written; the fields are written first,
  then the job is moved or retried, and if that is refused the fields become what they were.

  The whole of retry.lua precedes this text as the function `retry(KEYS, ARGV)`.

  KEYS   the queue's keys, in the order of SUFFIXES (qtui.bullmq.keys.SCRIPT_KEYS)
  ARGV   1 base key and a colon   2 id
         what the job must still be, else the code is -3:
         3 the state's key (wait, paused, prioritized, …), or "" for none   4 its score, or ""
         5 its stamp (lua/parts/pins.lua), or ""   6 SHA-1 of its data
         7 its priority and 8 its delay, as text, "" for an absent field
         what it is to become, each `=` and the text, `=` alone for no such field, "" to leave it:
         9 data   10 priority   11 delay in ms from now, for a job in delayed
         12 "1" to retry it, from failed or completed, with 13 "1" to delete the counter of attempts
         made and 14 "1" for attempts started
         15 "" or the exact place to go to, for an undo: `score=…` in the state 16, or the id of the
         job that is to run before it in the list 16, `before=…`; for a list 17 "1" if the queue was
         paused, 18 `=` and its score in `priority` (1.x to 3.x), `=` alone for none, "" if unknown
  Reply  first a note: empty, or the first error of an effect after the edit; then a code and a
         detail:
           1 and the key in which the job is now, or ""    0 and the error: refused, nothing changed
          -1 and "": no such job
          -3 and what has changed: state, started, data, priority, delay; or "parts": the delay of a
             job that is not delayed
         last the microseconds that all of it took, 0 if the server can't measure them
         An error reply that starts with QTUIREFUSED, as in retry.lua.

  Supports BullMQ 1.0.0 to 6.7.0.
]]
-- part: calls
-- part: clock
-- part: keys
-- part: evidence
-- part: destination
-- part: removal
-- part: lists
-- part: pins
-- part: release
-- part: turns
-- part: delays
-- part: resume
-- part: events
-- part: waking
-- part: returning
-- script: retry
local base, id, state, score = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local stamp, digest, formerPriority, formerDelay = ARGV[5], ARGV[6], ARGV[7], ARGV[8]

-- The value in an argument; nil for none.
local function valueOf(argument)
  return argument ~= "" and string.sub(argument, 2) or nil
end

local newData, newPriority, newDelay = valueOf(ARGV[9]), valueOf(ARGV[10]), valueOf(ARGV[11])
local retries, resetMade, resetStarted = ARGV[12] == "1", ARGV[13], ARGV[14]

local key = bySuffix(KEYS)
local name = base .. id
local began = clock()

local LISTS = { wait = true, paused = true, active = true }
local WAITS = { wait = true, paused = true, prioritized = true }

local function replied(code, detail)
  return { note, code, detail, clock() - began }
end

-- The key in which the job is, if it is the one in which it was seen. A pause or a resume of 1.x to
-- 5.x renames `wait` and `paused`: what waits in one then waits in the other.
local function find()
  if state == "" then return "" end
  if state == "wait" or state == "paused" then
    local other = state == "wait" and "paused" or "wait"
    return holds(key[state], id) and state or holds(key[other], id) and other
  end
  if LISTS[state] then return holds(key[state], id) and state end
  local refused, now = refusal("ZSCORE", key[state], id)
  if refused then return nil, refused end
  return now and (score == "" or tonumber(now) == tonumber(score)) and state, nil, now
end

local queue = readQueue(key, base)
local foreign = refuseForeign(key, base, queue)
if foreign then return redis.error_reply(foreign) end

local fields = redis.pcall("HMGET", name, "data", "priority", "delay", "gid", "ats", "atm",
  "attemptsMade", "timestamp", "processedOn")
if fields.err then return replied(0, fields.err) end
if redis.call("EXISTS", name) == 0 then return replied(-1, "") end
if fields[4] then return replied(0, "the job belongs to a BullMQ Pro group") end

local place, refused, seenScore = find()
if refused then return replied(0, refused) end
if not place then return replied(-3, "state") end
local seenStamp = stampOf(fields[8], fields[9], fields[5], fields[6], fields[7])
if stamp ~= "" and tonumber(stamp) ~= seenStamp then return replied(-3, "started") end
if redis.sha1hex(fields[1] or "") ~= digest then return replied(-3, "data") end
if (fields[2] or "") ~= formerPriority then return replied(-3, "priority") end
if (fields[3] or "") ~= formerDelay then return replied(-3, "delay") end
if newDelay and place ~= "delayed" then return replied(-3, "parts") end

local modern = ranModern(fields[5], fields[6], fields[7])
if modern == nil then modern = speaksModern(queue) end
local priority = newPriority and priorityOf(newPriority)

-- Writing -----------------------------------------------------------------------------------------

-- Writes the fields, and deletes those that are to be empty: an error, or what undoes it.
local function write()
  local new, old, deleted, absent = {}, {}, {}, {}
  local wanted = { data = newData, priority = newPriority, delay = newDelay }
  for at, field in ipairs({ "data", "priority", "delay" }) do
    local value = wanted[field]
    if value == "" and fields[at] then deleted[#deleted + 1] = field end
    if value and value ~= "" then
      new[#new + 1] = field
      new[#new + 1] = value
      if not fields[at] then absent[#absent + 1] = field end
    end
    if value and fields[at] then
      old[#old + 1] = field
      old[#old + 1] = fields[at]
    end
  end
  -- What takes a new field away again must be allowed before it is made.
  local forbidden = #absent > 0 and refusal("HDEL", name, unpack(absent))
    or #new > 0 and refusal("HSET", name, unpack(new))
    or #deleted > 0 and refusal("HDEL", name, unpack(deleted))
  local function undo()
    if #old > 0 then redis.pcall("HSET", name, unpack(old)) end
    if #absent > 0 then redis.pcall("HDEL", name, unpack(absent)) end
  end
  if forbidden then undo() end
  return forbidden or nil, undo
end

local function remove(from, member, count)
  if LISTS[from] then return refusal("LREM", key[from], count or 1, member) end
  return refusal("ZREM", key[from], member)
end

-- The error if Redis refuses to remove a job from where it is, see `refusedRemoval`.
local function refusedToLeave(from)
  local function isThere(member)
    if LISTS[from] then return holds(key[from], member) end
    return redis.call("ZSCORE", key[from], member)
  end
  return refusedRemoval(isThere, function(member) return remove(from, member) end)
end

-- Makes a job the next to run of the list in which it is; it is never out of the list.
local function moveToTail(list)
  return refusal("RPUSH", key[list], id) or remove(list, id, 1)
end

-- Gives a job of a list its turn in the same list, where 1.x to 3.x run the queue.
local function reorder(list)
  local stopped = moveToTail(list)
  if stopped then return stopped end
  if priority > 0 then return takeTurn(key, key[list], priority, id) end
  return refusal("ZREM", key.priority, id) or refusal("LPUSH", key[list], id)
    or remove(list, id, -1)
end

-- Moves a waiting job to where its new priority belongs: an error, or the key.
local function moveByPriority()
  local target = destination(queue, { id = id, priority = priority, modern = modern })
  local inList = target == "wait" or target == "paused"
  if inList and LISTS[place] then
    -- Where nothing shows that `prioritized` is read, the job stays in line.
    if ordersWait(key, queue, modern) then return refusedToLeave(place) or reorder(place), place end
    return nil, place
  end
  local stopped = refusedToLeave(place)
  if stopped then return stopped end
  if target == "prioritized" then
    local turn
    turn, stopped = prioritizedScore(key, priority)
    stopped = stopped or refusal("ZADD", key.prioritized, turn, id)
  else
    stopped = target == "paused" and keepFromResume(key, queue)
      or refusal("LPUSH", key[target], id)
  end
  if stopped or target == place then return stopped, target end
  stopped = remove(place, id)
  if stopped then remove(target, id) end
  return stopped, target
end

local function wake(target)
  wakeWorkers(key, queue, {
    marker = modern ~= false,
    four = modern ~= true and target == "prioritized",
  })
end

-- Gives a delayed job its new time: an error, or its due time.
local function reschedule()
  local due = tonumber(milliseconds()) + tonumber(newDelay)
  local new, stopped = delayedScore(key, due)
  return stopped or refusal("ZADD", key.delayed, string.format("%.0f", new), id), due
end

-- The exact place of an undo ----------------------------------------------------------------------

local exact, exactKey, wasPaused, turn = ARGV[15], ARGV[16], ARGV[17] == "1", valueOf(ARGV[18])

local before = string.match(exact, "^before=(.*)$")

local function restoreInList(list, neighbour, byAge)
  if place ~= list or not LISTS[list] then
    return returnTo(key, queue, list, id, neighbour, byAge)
  end
  local stopped = moveToTail(list)
  if stopped or not neighbour then return stopped end
  return refusal("LINSERT", key[list], "BEFORE", neighbour, id) or remove(list, id, -1)
end

-- The sorted set of 1.x to 3.x that orders `wait`.
local function restoreTurn()
  if turn and tonumber(turn) then return refusal("ZADD", key.priority, turn, id) end
  if turn then
    return typeOf(key.priority) == "zset" and refusal("ZREM", key.priority, id) or nil
  end
  if not ordersWait(key, queue, modern) or not priority then return nil end
  if priority > 0 then return refusal("ZADD", key.priority, priority, id) end
  return refusal("ZREM", key.priority, id)
end

-- Puts the job back to the exact place that it had: an error, or the key.
local function restorePlace()
  local stopped = refusedToLeave(place)
  if stopped then return stopped end
  local back, target = string.match(exact, "^score=(.*)$"), exactKey
  if back then
    stopped = refusal("ZADD", key[target], back, id)
  else
    local neighbour, byAge
    target, neighbour, byAge = listToReturnTo(key, queue, exactKey, before, modern, wasPaused)
    stopped = restoreInList(target, neighbour, byAge) or restoreTurn()
  end
  if stopped or target == place then return stopped, target end
  stopped = remove(place, id)
  if stopped then remove(target, id) end
  return stopped, target
end

-- The call ----------------------------------------------------------------------------------------

local stopped, writeBack = write()
if stopped then return replied(0, stopped) end

local due
if retries then
  local arguments = { base, place, resetMade, resetStarted, "", id, seenScore or "" }
  local ok, reply = pcall(retry, KEYS, arguments)
  if not ok or reply.err or reply[2] ~= 1 then
    writeBack()
    if not ok then return replied(0, tostring(reply)) end
    if reply.err then return replied(0, reply.err) end
    return replied(reply[2], reply[2] == -3 and "state" or reply[3])
  end
  if note == "" then note = reply[1] end
  return replied(1, reply[3])
end

if exact ~= "" then
  stopped, place = restorePlace()
elseif newDelay then
  stopped, due = reschedule()
elseif newPriority and WAITS[place] then
  stopped, place = moveByPriority()
  if not stopped then wake(place) end
end
if stopped then
  writeBack()
  return replied(0, stopped)
end
if exact ~= "" and WAITS[place] then wake(place) end
if exact ~= "" and place == "delayed" then wakeForDelayed(key, queue, modern) end
if due then
  emit(key.events, queue.maxEvents, "delayed", "jobId", id, "delay", string.format("%.0f", due))
  wakeForDelayed(key, queue, modern)
end
return replied(1, place)
