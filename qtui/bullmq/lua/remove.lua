--[[
  Removes jobs of one state, and with them jobs below them in their flows, if they are named.

  Does for each job what BullMQ's Job.remove does (script removeJob, 1.18.0 to 6.7.0): takes it from
  its state, from what its parent waits for, and from the deduplication that it holds, deletes its
  keys, and emits `removed`. A parent that waits for no other child runs next; it is never deleted,
  as BullMQ's clean and drain do in the same queue. Differs where single releases are wrong: the
  current iteration of a scheduler stays in all of them (before 5.16.0 its removal ended the
  repetition), a parent keeps its priority and, in a paused queue, goes where no resume loses it, a
  parent that is removed too is not made to run first, and a deduplication key of another job stays.

  Nothing can be lost half-way: all is read first, the removal from each key is tried with a member
  that is not there, and what a parent was relieved of is given back if it can't run.

  KEYS   the queue's keys, in the order of SUFFIXES; then, for a cluster, keys of other queues
  ARGV   1 base key and a colon   2 suffix of the state's key: failed, wait, …   3 number of jobs
         then for each job its id, and its pin ("" for any): its score in a sorted set, or in a list
         its stamp (lua/parts/pins.lua)
         then for each job below one of them: the position of that job, base key and colon, suffix
         of the state's key, id and pin. A job and those below it go together or not at all; one
         below that is gone stops nothing.
  Reply  first a note: empty, or the first error of an effect after the removal; then for each job,
         and each below, a code and a detail:
           1 and "removed", "cleared" for an id that had no hash, or "released" and a blank and
             the full key of the parent that runs now
           0 and why: locked, or refused by Redis; the job is where it was
          -1 and "": no such job, and not in the state     -3 and "": not in the state, or another
          -8 and the scheduler whose current iteration it is
         last the microseconds that all of it took, 0 if the server can't measure them
         An error reply that starts with QTUIREFUSED: see retry.lua. Nothing was written.
]]
-- part: calls
-- part: clock
-- part: keys
-- part: evidence
-- part: lists
-- part: pins
-- part: removal
-- part: events
-- part: jobkeys
-- part: lastchild
-- part: iteration
local base, state, number = ARGV[1], ARGV[2], tonumber(ARGV[3])
local FIRST_JOB, ARGUMENTS_BELOW = 4, 5

local key = bySuffix(KEYS)
local began = clock()

local LISTS = { wait = true, paused = true, active = true }
local LOCKED = "a worker holds its lock"

local queue = readQueue(key, base)
local foreign = refuseForeign(key, base, queue)
if foreign then return redis.error_reply(foreign) end

-- Reading --------------------------------------------------------------------------------------

-- The score of each id in a sorted set, in order; false for one that is not in it.
local function scoresOf(set, ids)
  if #ids == 0 then return {} end
  local scores = redis.pcall("ZMSCORE", set, unpack(ids))
  if not scores.err then return scores end
  -- Redis below 6.2 has no ZMSCORE, and an ACL may allow only ZSCORE.
  scores = {}
  for index, id in ipairs(ids) do scores[index] = redis.call("ZSCORE", set, id) end
  return scores
end

-- Whether a list holds a job, sought from the tail, where the oldest are.
local function isInList(list, id)
  local place = redis.pcall("LPOS", list, id, "RANK", "-1")
  if type(place) ~= "table" then return place and true end
  return holds(list, id)
end

-- Reads a job into the table; a code and a detail if it stays.
local function read(job, score)
  local fields = redis.pcall("HMGET", job.name, "timestamp", "processedOn", "parentKey", "parent",
    "deid", "rjk", "gid", "ats", "atm", "attemptsMade")
  if fields.err then return 0, fields.err end
  local any = fields[1] or fields[2] or fields[3] or fields[6]
  job.exists = any and true or redis.call("EXISTS", job.name) == 1
  if not fields[1] and job.exists and isNameOfOtherKey(job.id) then
    return 0, job.name .. " is not a job"
  end
  local stands, pin = score, score
  if LISTS[job.state] then
    stands = isInList(job.base .. job.state, job.id)
    pin = stampOf(fields[1], fields[2], fields[8], fields[9], fields[10])
  end
  -- A wake-up in a list is no job.
  if not job.exists and LISTS[job.state] and isMarker(job.id) then return -1, "" end
  if not stands then return job.exists and -3 or -1, "" end
  -- Nothing tells an id in a list apart whose hash is gone.
  local known = job.exists or score or job.pin == "nan"
  if job.pin ~= "" and known and tonumber(pin or "") ~= tonumber(job.pin) then return -3, "" end
  if fields[7] then return 0, "the job belongs to a BullMQ Pro group" end
  local refused, locked = refusal("EXISTS", job.name .. ":lock")
  if refused then return 0, refused end
  if locked == 1 and typeOf(job.name .. ":lock") == "string" then return 0, LOCKED end
  local scheduler = schedulerOf(job.base, job.id, fields[6])
  if scheduler then return -8, scheduler end
  job.beside, refused = keysBeside(job.name)
  if refused then return 0, refused end
  if fields[3] and fields[3] ~= "" then
    local parentBase, parentId = splitParent(fields[3], fields[4])
    job.parent = { name = fields[3], base = parentBase, id = parentId }
  end
  job.deduplication = fields[5]
  return nil
end

-- All jobs, by the key of their state, so that scores are read at once.
local function readAll(jobs, codes, details)
  local groups, byKey, seen = {}, {}, {}
  for _, job in ipairs(jobs) do
    local name = job.base .. job.state
    if seen[job.base .. job.id] then
      codes[job.place], details[job.place] = -3, ""
    else
      seen[job.base .. job.id] = true
      local group = byKey[name]
      if not group then
        group = { key = name, isList = LISTS[job.state], ids = {}, jobs = {} }
        byKey[name] = group
        groups[#groups + 1] = group
      end
      group.ids[#group.ids + 1] = job.id
      group.jobs[#group.jobs + 1] = job
    end
  end
  for _, group in ipairs(groups) do
    local scores = group.isList and {} or scoresOf(group.key, group.ids)
    for index, job in ipairs(group.jobs) do
      codes[job.place], details[job.place] = read(job, scores[index])
    end
  end
  return groups
end

-- The error if Redis refuses to take jobs from a key, or to delete any.
local function refusedAt(group)
  local refused = refusedRemoval(
    function(member) return redis.call("EXISTS", base .. member) == 1 end,
    function(member) return refusal("DEL", base .. member) end)
  if refused then return refused end
  if group.isList then
    return refusedRemoval(
      function(member) return isInList(group.key, member) end,
      function(member) return refusal("LREM", group.key, -1, member) end)
  end
  return refusedRemoval(
    function(member) return redis.call("ZSCORE", group.key, member) end,
    function(member) return refusal("ZREM", group.key, member) end)
end

-- Writing --------------------------------------------------------------------------------------

local function takeOut(group, going)
  if not group.isList then return refusal("ZREM", group.key, unpack(going)) end
  for _, id in ipairs(going) do
    local refused = refusal("LREM", group.key, -1, id)
    if refused then return refused end
  end
  return nil
end

local function releaseDeduplication(job)
  if not job.deduplication then return end
  local held = job.base .. "de:" .. job.deduplication
  if redis.pcall("GET", held) ~= job.id then return end
  attempt("DEL", held)
  local waiting = job.base .. "dn:" .. job.deduplication
  if typeOf(waiting) == "hash" and not isJobHash(waiting) then attempt("DEL", waiting) end
end

local hasPriorities = {}

-- BullMQ before 4.0.0 keeps the priorities of waiting jobs in a set beside the list.
local function forgetPriority(job)
  local set = job.base .. "priority"
  if hasPriorities[set] == nil then hasPriorities[set] = typeOf(set) == "zset" end
  if hasPriorities[set] then attempt("ZREM", set, job.id) end
end

local function delete(job)
  if job.released then announceReleased(job.parent) end
  releaseDeduplication(job)
  forgetPriority(job)
  local gone = attempt("DEL", job.name, unpack(job.beside))
  if not gone or gone == 0 then return end
  local kept = job.base == base and queue.maxEvents or queueAt(job.base).maxEvents
  announce(job.base .. "events", kept, "removed", job.id, job.state)
end

-- The call -------------------------------------------------------------------------------------

local jobs, codes, details = {}, {}, {}
for place = 1, number do
  local at = FIRST_JOB + 2 * (place - 1)
  jobs[place] = { place = place, root = place, base = base, state = state, id = ARGV[at],
    pin = ARGV[at + 1] }
end
for at = FIRST_JOB + 2 * number, #ARGV, ARGUMENTS_BELOW do
  local place = #jobs + 1
  jobs[place] = { place = place, root = tonumber(ARGV[at]), base = ARGV[at + 1],
    state = ARGV[at + 2], id = ARGV[at + 3], pin = ARGV[at + 4] }
end

for _, job in ipairs(jobs) do job.name = job.base .. job.id end
local groups = readAll(jobs, codes, details)
for _, group in ipairs(groups) do
  local refused = refusedAt(group)
  for _, job in ipairs(group.jobs) do
    if refused and not codes[job.place] then codes[job.place], details[job.place] = 0, refused end
  end
end

-- A job and those below it go together, or none of them.
local kept = {}
for _, job in ipairs(jobs) do
  local code = codes[job.place]
  if code and not (code == -1 and job.place > number) then kept[job.root] = job end
end

local function keepWith(job)
  local why = kept[job.root]
  if not why or codes[job.place] then return end
  local detail = details[why.place] == "" and "has changed" or details[why.place]
  codes[job.place], details[job.place] = 0, why.name .. ": " .. detail
end

local going = {}
for _, job in ipairs(jobs) do
  keepWith(job)
  if not codes[job.place] then going[job.name] = true end
end

for _, job in ipairs(jobs) do
  keepWith(job)
  if not codes[job.place] then
    details[job.place] = job.exists and "removed" or "cleared"
    if job.parent and not going[job.parent.name] then
      local refused, runs = leaveParent(job.parent, job.base, job.name)
      if refused then
        codes[job.place], details[job.place], kept[job.root] = 0, refused, job
      elseif runs then
        job.released, details[job.place] = true, "released " .. job.parent.name
      end
    end
  end
end

for _, group in ipairs(groups) do
  local ids = {}
  for _, job in ipairs(group.jobs) do
    if not codes[job.place] then ids[#ids + 1] = job.id end
  end
  local refused = #ids > 0 and takeOut(group, ids)
  for _, job in ipairs(group.jobs) do
    if refused and not codes[job.place] then codes[job.place], details[job.place] = 0, refused end
  end
end

for _, job in ipairs(jobs) do
  if not codes[job.place] then
    codes[job.place] = 1
    delete(job)
  end
end
wakeReleased()

local reply = { note }
for place = 1, #jobs do
  reply[#reply + 1] = codes[place]
  reply[#reply + 1] = details[place]
end
reply[#reply + 1] = clock() - began
return reply
