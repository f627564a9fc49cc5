--[[
  Removes a queue, some of it a call: its jobs state by state, then what is left, then its own keys.

  Does what BullMQ's Queue.obliterate does (script obliterate, 1.15.0 to 6.7.0), and leaves none of
  what that leaves: parents in `waiting-children` with all that is theirs, jobs in no state,
  deduplication keys without owner, `limiter`, `priority`, and in a queue of both kinds of release
  the list that its own kind does not use. A parent in another queue that waits for no other child
  runs, and is announced; parents in this queue go too.

  Each call is safe to be the last: the queue is paused by the first one, no id is left without its
  job, and the queue's own keys, by which it is known, go last.

  KEYS   the queue's keys, in the order of SUFFIXES (qtui.bullmq.keys.SCRIPT_KEYS); in mode sweep
         also the keys to delete
  ARGV   1 base key and a colon   2 "jobs", "sweep" or "end"
         3 "1" to remove active jobs whose lock a worker holds too
         4 the most jobs that one call may remove
         in mode sweep then the keys of the queue to delete, in mode end its own ones
  Reply  a note: empty, or the first error of an effect after a removal; then a code and a detail,
         the number of jobs that are left in the queue's states, and the microseconds:
           1 and the jobs removed, a blank, and the parents in other queues that run now
           0 and why: nothing was removed
         In modes sweep and end nothing is deleted while jobs are left.
         An error reply that starts with QTUIREFUSED: see retry.lua.
]]
-- part: calls
-- part: clock
-- part: keys
-- part: evidence
-- part: removal
-- part: events
-- part: jobkeys
-- part: lastchild
local base, mode, force, most = ARGV[1], ARGV[2], ARGV[3] == "1", tonumber(ARGV[4])
local FIRST_KEY = 5
local CHUNK = 1000 -- members in one command

local key = bySuffix(KEYS)
local began = clock()
local removed, released = 0, 0

local STATES = { "wait", "paused", "prioritized", "delayed", "waiting-children", "completed",
  "failed", "active" }
local LISTS = { wait = true, paused = true, active = true }

local function sizeOf(state)
  local kind = typeOf(key[state])
  if kind == "none" then return 0 end
  if kind == (LISTS[state] and "list" or "zset") then
    return redis.call(LISTS[state] and "LLEN" or "ZCARD", key[state])
  end
  return 0 -- of another type: it goes with the queue's own keys
end

local function left()
  local sum = typeOf(key["repeat"]) == "zset" and redis.call("ZCARD", key["repeat"]) or 0
  for _, state in ipairs(STATES) do sum = sum + sizeOf(state) end
  return sum
end

local function answer(code, detail)
  return { note, code, detail, code == 1 and left() or 0, clock() - began }
end

-- An active job whose lock a worker holds; nil if there is none.
local function lockedJob()
  if typeOf(key.active) ~= "list" then return nil end
  for first = 0, redis.call("LLEN", key.active) - 1, CHUNK do
    for _, id in ipairs(redis.call("LRANGE", key.active, first, first + CHUNK - 1)) do
      if redis.call("EXISTS", base .. id .. ":lock") == 1 then return id end
    end
  end
  return nil
end

-- The error if Redis refuses what a removal needs, tried without an effect.
local function refusedAtAll()
  local refused = refusal("HDEL", key.meta, "\0") or refusedRemoval(
    function(member) return redis.call("EXISTS", base .. member) == 1 end,
    function(member) return refusal("DEL", base .. member) end)
  if refused then return refused end
  for _, state in ipairs(STATES) do
    if sizeOf(state) > 0 then
      if LISTS[state] then
        refused = refusal("LTRIM", key[state], 0, -1)
      else
        refused = refusedRemoval(
          function(member) return redis.call("ZSCORE", key[state], member) end,
          function(member) return refusal("ZREM", key[state], member) end)
      end
      if refused then return refused end
    end
  end
  return nil
end

local function isOurs(parentBase) return parentBase == base end

-- Deletes a job's keys; an error if its parent in another queue could not be relieved of it, which
-- would wait for it for ever: then nothing was done.
local function deleteJob(id)
  if isMarker(id) then return nil end
  local name = base .. id
  local fields = redis.pcall("HMGET", name, "timestamp", "parentKey", "parent")
  local isJob = not fields.err and (fields[1] or not isNameOfOtherKey(id))
  if not isJob then return nil end
  if fields[2] and fields[2] ~= "" then
    local parentBase, parentId = splitParent(fields[2], fields[3])
    if parentBase and not isOurs(parentBase) then
      local parent = { name = fields[2], base = parentBase, id = parentId }
      local refused, runs = leaveParent(parent, base, name)
      if refused then return refused end
      if runs then
        released = released + 1
        announceReleased(parent)
      end
    end
  end
  local names = keysBeside(name) or {}
  if typeOf(name .. ":lock") == "string" then names[#names + 1] = name .. ":lock" end
  attempt("DEL", name, unpack(names))
  removed = removed + 1
  return nil
end

-- Takes ids that are deleted out of their state; `ids` are its first ones, or the last of a list.
local function takeOut(state, ids)
  if #ids == 0 then return end
  if LISTS[state] then
    redis.call("LTRIM", key[state], 0, -#ids - 1)
    return
  end
  for first = 1, #ids, CHUNK do
    redis.call("ZREM", key[state], unpack(ids, first, math.min(first + CHUNK - 1, #ids)))
  end
end

-- Removes up to `room` jobs of one state: how many, and the error that ended it.
local function removeFrom(state, room)
  if room <= 0 or sizeOf(state) == 0 then return 0 end
  local found
  if LISTS[state] then
    found = redis.call("LRANGE", key[state], -room, -1)
  else
    found = redis.call("ZRANGE", key[state], 0, room - 1)
  end
  local done = {}
  for place = 1, #found do
    local id = LISTS[state] and found[#found + 1 - place] or found[place]
    local refused = deleteJob(id)
    if refused then
      takeOut(state, done)
      return #done, refused
    end
    done[#done + 1] = id
  end
  takeOut(state, done)
  return #done
end

local function removeSchedulers(room)
  if typeOf(key["repeat"]) ~= "zset" then return 0 end
  local members = redis.call("ZRANGE", key["repeat"], 0, room - 1)
  for _, member in ipairs(members) do attempt("DEL", key["repeat"] .. ":" .. member) end
  if #members > 0 then redis.call("ZREM", key["repeat"], unpack(members)) end
  return #members
end

local function deleteKeys()
  for first = FIRST_KEY, #ARGV, CHUNK do
    redis.call("DEL", unpack(ARGV, first, math.min(first + CHUNK - 1, #ARGV)))
  end
end

local queue = readQueue(key, base)
local foreign = refuseForeign(key, base, queue)
if foreign then return redis.error_reply(foreign) end
if not force then
  local id = lockedJob()
  if id then return answer(0, "job " .. id .. " is active: a worker holds its lock") end
end
local refused = refusedAtAll()
if refused then return answer(0, refused) end

if mode == "jobs" then
  if not queue.paused then
    refused = refusal("HSET", key.meta, "paused", 1)
    if refused then return answer(0, refused) end
    attempt("DEL", key.marker)
    announceQueue(key.events, queue.maxEvents, "paused")
  end
  local room = most - removeSchedulers(most)
  for _, state in ipairs(STATES) do
    local some
    some, refused = removeFrom(state, room)
    room = room - some
    if refused then
      if removed == 0 then return answer(0, refused) end
      break
    end
  end
  wakeReleased()
elseif left() == 0 then
  deleteKeys()
end
return answer(1, removed .. " " .. released)
