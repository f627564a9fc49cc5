--[[
  Gives one scheduler another time, or takes it away or puts it back, with its iteration.

  Four actions are this one step: to remove a scheduler (its time and its hash go, and its iteration
  wherever it waits), to revive a dead one (another time, and a new iteration for it), and to take
  back either. It is one script, since a scheduler without its iteration is dead, and an iteration
  without its scheduler runs once more.

  BullMQ's own scripts: removeRepeatable (1.0.0 to 5.81.5) and removeJobScheduler (≥5.16.0) remove
  the iteration from `delayed` only, so that one that waits runs once more; addJobScheduler
  (≥5.16.0) leaves the hash of an iteration that is in no state.

  KEYS   the queue's keys, in the order of SUFFIXES (qtui.bullmq.keys.SCRIPT_KEYS)
  ARGV   1 base key and a colon   2 the scheduler's id
         3 the score that it must have, "" if it must not exist   4 the score that it gets, "": none
         5 its hash: "keep", or the number of pairs that follow, which replace it (0: it goes)
         then of the iteration that goes: its id ("": none goes), and how:
           "pending" from where it waits; one that runs or has finished stays
           "unbegun" only if it waits and no worker has ever had it, else -3
           "lost" only if it is in no state, else -3: its hash is deleted
         then of the iteration that comes: its id ("": none comes), the suffix of the key to which
           it goes (delayed, prioritized, wait, paused; "": its hash alone comes), its time in ms,
           its score ("": behind others), in a list the id of the job that was to run before it or
           "", "1" if the queue was paused, the number of its log lines, those lines, the number of
           pairs, and those pairs. If it is the one that goes, it keeps its hash, and there are no
           lines and no pairs.
         last "1" to count it as a new job
  Reply  first a note: empty, or the first error of an effect; then a code and a detail:
           1 and where the iteration went (the key's suffix), or where the one that left was
           0 and the error: refused, all is as it was     -1 and "": there is no such scheduler
          -3 and why: it has moved on
         last the microseconds that all of it took, 0 if the server can't measure them
         An error reply that starts with QTUIREFUSED: see retry.lua. Nothing was written.

  Supports BullMQ 1.0.0 to 6.7.0.
]]
-- part: calls
-- part: clock
-- part: keys
-- part: evidence
-- part: destination
-- part: release
-- part: turns
-- part: delays
-- part: lists
-- part: removal
-- part: events
-- part: jobkeys
-- part: waking
-- part: returning
local base, id, seen, wanted = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local key = bySuffix(KEYS)
local began = clock()
local schedulers, definition = base .. "repeat", base .. "repeat:" .. id

local cursor = 4
local function nextArgument()
  cursor = cursor + 1
  return ARGV[cursor]
end

local function nextArguments(number)
  local some = {}
  for place = 1, number do some[place] = nextArgument() end
  return some
end

local hash = nextArgument()
local fields = tonumber(hash) and nextArguments(2 * tonumber(hash)) or {}
local goes = { id = nextArgument(), how = nextArgument() }
goes.name = base .. goes.id
local comes = { id = nextArgument(), place = nextArgument(), due = nextArgument() }
comes.name, comes.score = base .. comes.id, nextArgument()
comes.before, comes.wasPaused = nextArgument(), nextArgument() == "1"
comes.logs = nextArguments(tonumber(nextArgument()))
comes.fields = nextArguments(2 * tonumber(nextArgument()))
local isNew = nextArgument() == "1"

local function replied(code, detail)
  return { note, code, detail, clock() - began }
end

local queue = readQueue(key, base)
local foreign = refuseForeign(key, base, queue)
-- The last scheduler of a queue may have been its last key.
if foreign and not (foreign == "QTUIREFUSED gone" and seen == "") then
  return redis.error_reply(foreign)
end

-- What is there -----------------------------------------------------------------------------------

local kind = typeOf(schedulers)
if kind ~= "none" and kind ~= "zset" then return replied(0, "WRONGTYPE: " .. schedulers) end
local score = redis.call("ZSCORE", schedulers, id)
if seen == "" then
  if score then return replied(-3, "it exists again") end
elseif not score then
  return replied(-1, "")
elseif tonumber(score) ~= tonumber(seen) then
  return replied(-3, "its iteration has run meanwhile")
end

local WAITING_SETS, WAITING_LISTS = { "delayed", "prioritized" }, { "wait", "paused" }
local OTHER_SETS = { "waiting-children", "completed", "failed" }

local function isIn(sets, job)
  for _, set in ipairs(sets) do
    if typeOf(key[set]) == "zset" and redis.call("ZSCORE", key[set], job) then return set end
  end
  return nil
end

-- Where the job waits; "" if in no state; nil and the state if it has begun.
local function placeOf(job)
  local set = isIn(WAITING_SETS, job)
  if set then return set end
  local other = isIn(OTHER_SETS, job)
  if other then return nil, other end
  for _, list in ipairs(WAITING_LISTS) do
    if typeOf(key[list]) == "list" and holds(key[list], job) then return list end
  end
  if typeOf(key.active) == "list" and holds(key.active, job) then return nil, "active" end
  return ""
end

local function hasBegun(name)
  local found = redis.call("HMGET", name, "processedOn", "ats", "attemptsMade", "finishedOn")
  return found[1] or found[4] or (found[2] and found[2] ~= "0") or (found[3] and found[3] ~= "0")
end

if goes.id ~= "" then
  local exists = redis.call("EXISTS", goes.name) == 1
  if exists and not isJobHash(goes.name) then return replied(0, goes.name .. " is not a job") end
  goes.from, goes.state = placeOf(goes.id)
  if not exists and (goes.from or "") == "" then
    if goes.how == "unbegun" then return replied(-3, "its iteration is gone") end
    goes.id = ""
  elseif goes.how == "unbegun" and ((goes.from or "") == "" or hasBegun(goes.name)) then
    return replied(-3, "its iteration has run")
  elseif goes.how == "lost" and goes.from ~= "" then
    return replied(-3, "its iteration is in " .. (goes.from or goes.state))
  elseif goes.how == "pending" and not goes.from then
    goes.id = "" -- it runs, or has run
  elseif redis.call("EXISTS", goes.name .. ":lock") == 1 then
    return replied(-3, "a worker holds the lock of its iteration")
  end
end
if comes.id ~= "" and comes.id ~= goes.id and redis.call("EXISTS", comes.name) == 1 then
  return replied(-3, "a job " .. comes.id .. " exists already")
end

-- Each step that Redis carries out is taken back if a later one is refused.
local taken = {}
local function step(back, ...)
  local refused = refusal(...)
  if not refused then taken[#taken + 1] = back end
  return refused
end

local function takeBack(refused)
  for place = #taken, 1, -1 do redis.pcall(unpack(taken[place])) end
  return replied(0, refused)
end

local isSame = goes.id ~= "" and goes.id == comes.id -- its hash stays as it is

-- What goes ---------------------------------------------------------------------------------------

local removed = {} -- keys that are deleted when all else is done

local function takeOut()
  if goes.id == "" then return nil end
  local refused
  if goes.from == "delayed" or goes.from == "prioritized" then
    local at = redis.call("ZSCORE", key[goes.from], goes.id)
    refused = step({ "ZADD", key[goes.from], at, goes.id }, "ZREM", key[goes.from], goes.id)
  elseif goes.from ~= "" then
    refused = step({ "RPUSH", key[goes.from], goes.id }, "LREM", key[goes.from], -1, goes.id)
  end
  if refused or isSame or redis.call("EXISTS", goes.name) == 0 then return refused end
  goes.deduplication = redis.call("HGET", goes.name, "deid")
  removed, refused = keysBeside(goes.name)
  if refused then return refused end
  removed[#removed + 1] = goes.name
  return nil
end

-- What comes --------------------------------------------------------------------------------------

local job

local function readComing()
  local found = redis.call("HMGET", comes.name, "name", "priority", "opts")
  -- Only BullMQ 5.10.0 and later give a scheduler a hash.
  local hashed = #fields > 0 or typeOf(definition) == "hash"
  return {
    jobName = found[1] or "", priority = priorityOf(found[2]), lifo = isLifo(found[3]),
    modern = hashed or speaksModern(queue),
  }
end

local function enqueue()
  if comes.place == "" then return nil end
  if comes.place == "delayed" then
    comes.target = "delayed"
    local at = comes.score ~= "" and comes.score
      or string.format("%.0f", delayedScore(key, tonumber(comes.due)))
    return step({ "ZREM", key.delayed, comes.id }, "ZADD", key.delayed, at, comes.id)
  end
  if comes.place == "prioritized" then
    comes.target = "prioritized"
    local at, refused = comes.score, nil
    if at == "" then at, refused = prioritizedScore(key, job.priority) end
    if refused then return refused end
    return step({ "ZREM", key.prioritized, comes.id }, "ZADD", key.prioritized, at, comes.id)
  end
  local before, byAge
  comes.target, before, byAge =
    listToReturnTo(key, queue, comes.place, comes.before, job.modern, comes.wasPaused)
  local refused = returnTo(key, queue, comes.target, comes.id, before, byAge)
  if refused then return refused end
  local back = comes.target == "prioritized" and { "ZREM", key.prioritized, comes.id }
  taken[#taken + 1] = back or { "LREM", key[comes.target], -1, comes.id }
  return nil
end

local function putIn()
  if comes.id == "" then return nil end
  local refused
  if not isSame then
    refused = step({ "DEL", comes.name }, "HSET", comes.name, unpack(comes.fields))
    if not refused and #comes.logs > 0 then
      local logs = comes.name .. ":logs"
      refused = step({ "DEL", logs }, "RPUSH", logs, unpack(comes.logs))
    end
    if refused then return refused end
  end
  job = readComing()
  return enqueue()
end

-- The scheduler -----------------------------------------------------------------------------------

local function reschedule()
  if wanted == "" then
    return step({ "ZADD", schedulers, score, id }, "ZREM", schedulers, id)
  end
  local back = score and { "ZADD", schedulers, score, id } or { "ZREM", schedulers, id }
  return step(back, "ZADD", schedulers, wanted, id)
end

-- The last step that may be refused, since it is not taken back.
local function define()
  if hash == "keep" then return nil end
  local there = typeOf(definition) == "hash" and redis.call("HKEYS", definition) or {}
  local refused = #fields > 0 and refusal("HSET", definition, unpack(fields))
  if refused then return refused end
  local kept = {}
  for place = 1, #fields, 2 do kept[fields[place]] = true end
  for _, field in ipairs(there) do
    if not kept[field] then attempt("HDEL", definition, field) end
  end
  return nil
end

-- What is deleted at the end must be allowed.
local refused = refusedRemoval(
  function(member) return redis.call("EXISTS", base .. member) == 1 end,
  function(member) return refusal("DEL", base .. member) end)
refused = refused or takeOut() or putIn() or reschedule() or define()
if refused then return takeBack(refused) end

for _, name in ipairs(removed) do attempt("DEL", name) end
if isNew then attempt("INCR", key.id) end
if goes.deduplication then
  local held = base .. "de:" .. goes.deduplication
  if redis.pcall("GET", held) == goes.id then attempt("DEL", held) end
end
if goes.id ~= "" and goes.from ~= "" and typeOf(key.priority) == "zset" then
  attempt("ZREM", key.priority, goes.id)
end

if goes.id ~= "" and goes.from ~= "" then
  announce(key.events, queue.maxEvents, "removed", goes.id, goes.from)
end
if comes.target then
  emit(key.events, queue.maxEvents, "added", "jobId", comes.id, "name", job.jobName)
  if comes.target == "delayed" then
    local at = math.floor(tonumber(redis.call("ZSCORE", key.delayed, comes.id)) / SCORES_A_MS)
    emit(key.events, queue.maxEvents, "delayed", "jobId", comes.id,
      "delay", string.format("%.0f", at))
    wakeForDelayed(key, queue, job.modern)
  else
    emit(key.events, queue.maxEvents, "waiting", "jobId", comes.id)
    wakeWorkers(key, queue, {
      marker = job.modern ~= false,
      four = job.modern ~= true and comes.target == "prioritized",
    })
  end
end
return replied(1, comes.target or (goes.id ~= "" and goes.from) or "")
