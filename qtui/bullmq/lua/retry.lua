--[[
  Retries a batch of finished jobs, in the tongue of the release that runs the queue.

  For each job what BullMQ's Job.retry does (script reprocessJob), with the faults of single releases
  left out: priority is honoured (BullMQ itself does it since 6.3.15), in `prioritized` where jobs or
  keys show that it is read, else by the order of the batch; a paused queue keeps the job where no
  release's resume loses it (BullMQ before 3.13.1 let it run, or lost it); a parent gets its child
  back (BullMQ since 5.58.2, and since 5.79.2 without the WRONGTYPE that left it half retried).

  Nothing can be lost half-way. A job is pushed first and leaves its set after that; when the push is
  refused nothing has happened, when the removal is refused the push is taken back. Both happen in
  one script, so that no other client sees the moment in between.

  KEYS   the queue's keys, in the order of the table `key` below
  ARGV   1 base key and a colon   2 state: failed or completed
         3 "1" to delete the counter of attempts made   4 "1" for attempts started
         5 "1" for jobs whose children are retried too: one with children to come waits for them in
           `waiting-children`, as it did when it was added
         then for each job: its id, and the score at which it was seen in the state ("" for any).
         With another score it has run and finished again meanwhile: code -3.
  Reply  first a note, empty or the first error of an effect that comes after the move (event,
         marker, cleared fields); then for each job a code and a detail:
           1 and the key it went to     0 and the error: refused, the job is where it was
          -1 and "": no such job       -3 and "": not in the state
          -9 and a child's key: with 5 only; it has finished and its parent can't complete with it
         last the microseconds that all of it took, 0 where the server can't tell
         An error reply that starts with QTUIREFUSED: the queue is not one of BullMQ's own ("bull",
         "pro"), or no key of it is left ("gone"). Nothing was written.

  Speaks BullMQ 1.0.0 to 6.7.0. Which key a job goes to must stay equal to qtui.bullmq.dialect; a
  test holds the two together.
]]
local key = {
  state = KEYS[1], wait = KEYS[2], paused = KEYS[3], prioritized = KEYS[4], counter = KEYS[5],
  marker = KEYS[6], active = KEYS[7], meta = KEYS[8], events = KEYS[9], completed = KEYS[10],
  failed = KEYS[11], groups = KEYS[12], ["waiting-children"] = KEYS[13],
  -- KEYS[14] delayed and KEYS[15] id only show that the queue is there
}
local base, state = ARGV[1], ARGV[2]
local resetMade, resetStarted = ARGV[3] == "1", ARGV[4] == "1"
local afterChildren = ARGV[5] == "1"
local FIRST_JOB = 6

local COUNTER_RANGE = 4294967296 -- 2^32 jobs of one priority keep their order
local ONE_RESUME = 7000 -- ids that a resume of 6.x moves out of `paused` in one call
local HIGHEST_PRIORITY = 2097152 -- 2^21: with the counter it fills the 53 bits of a score

-- Microseconds, of which only differences mean anything. Redis has os.clock since 7.2, and stops its
-- TIME within a script since then.
local function clock()
  local found, seconds = pcall(function() return os.clock() end)
  if found then return seconds * 1000000 end
  local time = redis.pcall("TIME")
  return time.err and 0 or time[1] * 1000000 + time[2]
end

local began = clock()
local note = ""

-- Calls Redis for a move: returns the error, with the command it is about, or nil when it was done.
local function refusal(command, ...)
  local reply = redis.pcall(command, ...)
  if type(reply) == "table" and reply.err then return command .. ": " .. reply.err end
  return nil, reply
end

-- What Redis said to an effect that must not stop the batch: the first error becomes the note.
local function told(command, reply)
  if type(reply) == "table" and reply.err then
    if note == "" then note = command .. ": " .. reply.err end
    return nil
  end
  return reply
end

-- Calls Redis for such an effect.
local function attempt(command, ...)
  return told(command, redis.pcall(command, ...))
end

local function typeOf(name)
  return redis.call("TYPE", name).ok
end

local function isMarker(member)
  return member == "0" or string.find(member, "^0:%d+$") ~= nil
end

local function holdsJobs(list)
  if typeOf(list) ~= "list" then return false end
  for _, range in ipairs({ { 0, 3 }, { -4, -1 } }) do
    for _, member in ipairs(redis.call("LRANGE", list, range[1], range[2])) do
      if not isMarker(member) then return true end
    end
  end
  return false
end

-- Whether a job last ran under BullMQ 5 or later; nil when it never counted an attempt.
local function ranModern(ats, atm, attemptsMade)
  if ats or atm then return true end
  if attemptsMade then return false end
  return nil
end

local NEWEST = 4 -- of a state are asked until one tells: ids may have lost their hashes

-- What the newest job that tells shows; nil if none does.
local function firstToTell(ids)
  for _, id in ipairs(ids) do
    local seen = not isMarker(id) and redis.pcall("HMGET", base .. id, "ats", "atm", "attemptsMade")
    if seen and not seen.err then
      local modern = ranModern(seen[1], seen[2], seen[3])
      if modern ~= nil then return modern end
    end
  end
  return nil
end

-- Whether any of the jobs that ran last in this queue ran under BullMQ 5 or later.
local function lastRanModern()
  local answer = nil
  local function take(modern)
    if answer == nil or modern then answer = modern end
  end
  for _, set in ipairs({ key.completed, key.failed }) do
    if typeOf(set) == "zset" then
      take(firstToTell(redis.call("ZREVRANGE", set, 0, NEWEST - 1)))
    end
  end
  if typeOf(key.active) == "list" then
    take(firstToTell(redis.call("LRANGE", key.active, 0, NEWEST - 1)))
  end
  return answer
end

-- Whether a job shows that it never ran. While the queue is paused, what never ran was put into
-- `paused` by an add or a pause of 1.x to 5.x, and into `wait` by an add of 6.x.
local function neverRan(id)
  if isMarker(id) then return false end
  local seen = redis.pcall("HMGET", base .. id, "timestamp", "ats", "atm", "attemptsMade",
    "stacktrace", "pb")
  if seen.err or not seen[1] then return false end
  for index = 2, 6 do
    if seen[index] then return false end
  end
  return true
end

local function anyNeverRan(list, first, last)
  if typeOf(list) ~= "list" then return false end
  for _, id in ipairs(redis.call("LRANGE", list, first, last)) do
    if neverRan(id) then return true end
  end
  return false
end

-- Whether a process of 2.x to 5.x opened the queue last, which Elixir's port always claims.
local function isNamedOlder(version)
  return version ~= "bullmq:5.65.1" and string.find(version, "^bullmq:[2-5]%.") ~= nil
end

-- Whether a release before 6 runs the queue: see qtui.bullmq.dialect.QueueEvidence.older.
local function isOlder(queue)
  if queue.modern == false then return true end
  return isNamedOlder(queue.version) and not queue.jobsInWait
    and anyNeverRan(key.paused, -NEWEST, -1)
end

-- Whether 6.x runs the queue: see qtui.bullmq.dialect.QueueEvidence.newer.
local function isNewer(queue)
  return not queue.pausedList and not isNamedOlder(queue.version)
    and (anyNeverRan(key.wait, 0, NEWEST - 1) or anyNeverRan(key.wait, -NEWEST, -1))
end

local function readQueue()
  local meta = { false, false, false, false }
  if typeOf(key.meta) == "hash" then
    meta = redis.call("HMGET", key.meta, "paused", "version", "concurrency", "opts.maxLenEvents")
  end
  local queue = { paused = meta[1] and true or false, version = meta[2] or "" }
  queue.configured = (meta[2] or meta[3] or meta[4]) and true or false
  queue.maxEvents = string.match(meta[4] or "", "^%d+$") or "10000"
  queue.major = tonumber(string.match(queue.version, "^bullmq:(%d+)%."))
  queue.modern = lastRanModern()
  local limit = tonumber(meta[3] or "")
  queue.maxed = limit ~= nil and typeOf(key.active) == "list"
    and redis.call("LLEN", key.active) >= limit
  queue.knowsPrioritized = redis.call("EXISTS", key.prioritized, key.counter) > 0
  queue.pausedList = redis.call("EXISTS", key.paused) == 1
  queue.jobsInWait = holdsJobs(key.wait)
  queue.inPaused = typeOf(key.paused) == "list" and redis.call("LLEN", key.paused) or 0
  queue.older = queue.paused and isOlder(queue)
  queue.newer = queue.paused and isNewer(queue)
  return queue
end

-- Whose queue it is: see qtui.bullmq.dialect.kind_of, by which every other place judges it.
local function refuseForeign(queue)
  if string.sub(queue.version, 1, 11) == "bullmq-pro:" or typeOf(key.groups) == "zset" then
    return "QTUIREFUSED pro"
  end
  local bullmq = queue.configured or queue.modern or typeOf(key.events) == "stream"
    or typeOf(key.prioritized) == "zset" or typeOf(key["waiting-children"]) == "zset"
    or typeOf(key.marker) == "zset" or typeOf(key.counter) == "string"
  if bullmq then return nil end
  return redis.call("EXISTS", unpack(KEYS)) > 0 and "QTUIREFUSED bull" or "QTUIREFUSED gone"
end

-- The score of each id in the state, false where it has none, in the order of the ids.
local function scoresOf(ids)
  if #ids == 0 then return {} end
  local scores = redis.pcall("ZMSCORE", key.state, unpack(ids))
  if not scores.err then return scores end
  -- Before Redis 6.2 there is no such command, and an ACL may know only the other.
  scores = {}
  for index, id in ipairs(ids) do scores[index] = redis.call("ZSCORE", key.state, id) end
  return scores
end

local function isLifo(opts)
  if not opts or not string.find(opts, '"lifo"', 1, true) then return false end
  local ok, options = pcall(cjson.decode, opts)
  if not ok or type(options) ~= "table" then return false end
  local lifo = options.lifo
  return lifo ~= nil and lifo ~= cjson.null and lifo ~= false and lifo ~= 0 and lifo ~= ""
end

local function priorityOf(text)
  if text == "0" or not text then return 0 end
  -- Decimals only, as qtui.bullmq.model reads them: tonumber takes 0x10, nan and inf as well.
  local priority = tonumber(string.match(text, "^[%s%d%.eE%+%-]+$") or "")
  if not priority or priority < 1 or priority == math.huge then return 0 end
  return math.min(math.floor(priority), HIGHEST_PRIORITY)
end

-- The key a job goes to: see qtui.bullmq.dialect, which says why.
local function destination(queue, job)
  local modern = job.modern or queue.modern
  if job.priority > 0 and (modern or queue.knowsPrioritized) then return "prioritized" end
  if not queue.paused then return "wait" end
  if not modern or queue.modern == false then return "paused" end
  if queue.older and queue.inPaused < ONE_RESUME then return "paused" end
  return queue.newer and "wait" or "prioritized"
end

local function readJob(id, score, seenScore)
  local name = base .. id
  local fields = redis.pcall("HMGET", name, "timestamp", "priority", "opts", "parentKey", "gid",
    "ats", "atm", "attemptsMade")
  if fields.err then return nil, 0, fields.err end
  local any = fields[1]
  for index = 2, 8 do any = any or fields[index] end
  if not any and redis.call("EXISTS", name) == 0 then return nil, -1, "" end
  if not score or (seenScore ~= "" and tonumber(score) ~= tonumber(seenScore)) then
    return nil, -3, ""
  end
  if fields[5] then return nil, 0, "the job belongs to a BullMQ Pro group" end
  return {
    id = id, name = name, parent = fields[4],
    modern = ranModern(fields[6], fields[7], fields[8]),
    priority = priorityOf(fields[2]), lifo = isLifo(fields[3]),
  }
end

local looks = 500 -- at children, in one call: some 2 ms

-- For a job whose children are retried too: whether it has to wait for children; and the key of one
-- that has finished, but not so that its parent could complete, if there is one. It failed again, or
-- was not retried. One that goes unseen among thousands keeps its parent waiting, as BullMQ has it.
local function lookAtChildren(job)
  if typeOf(job.name .. ":unsuccessful") == "zset" then
    return false, redis.call("ZRANGE", job.name .. ":unsuccessful", 0, 0)[1]
  end
  if typeOf(job.name .. ":dependencies") ~= "set" then return false end
  for _, child in ipairs(redis.call("SRANDMEMBER", job.name .. ":dependencies", looks)) do
    looks = looks - 1
    -- What runs or waits has no finishedOn. A cluster may hold the child in another slot.
    local seen = redis.pcall("HMGET", child, "timestamp", "finishedOn")
    if not seen.err and (seen[2] or not seen[1]) then return false, child end
  end
  return true
end

local function runsBefore(one, other)
  if one.priority ~= other.priority then return one.priority < other.priority end
  return one.place < other.place
end

-- Jobs in the order in which they were asked for, parted by the one command that moves them.
local function partByMove(queue, jobs)
  local moves, byName = {}, {}
  for _, job in ipairs(jobs) do
    job.target = job.waits and "waiting-children" or destination(queue, job)
    if job.target == "paused" then queue.inPaused = queue.inPaused + 1 end
    local set = job.waits or job.target == "prioritized"
    local command = set and "ZADD" or job.lifo and "RPUSH" or "LPUSH"
    local name = command .. job.target
    local move = byName[name]
    if not move then
      move = { command = command, target = job.target, jobs = {}, priority = job.priority }
      byName[name] = move
      moves[#moves + 1] = move
    end
    move.jobs[#move.jobs + 1] = job
    move.mixed = move.mixed or job.priority ~= move.priority
  end
  for _, move in ipairs(moves) do
    -- Where `prioritized` may not be read, jobs with a priority at least stand in its order.
    if move.mixed and move.command == "LPUSH" then table.sort(move.jobs, runsBefore) end
  end
  return moves
end

local function milliseconds()
  local now = redis.call("TIME")
  return string.format("%.0f", tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000))
end

-- A score in `prioritized` before all others: the place of a job that is lifo and has no priority.
local function beforeAll()
  local first = redis.pcall("ZRANGE", key.prioritized, 0, 0, "WITHSCORES")
  return first.err and 0 or math.min(0, math.ceil(tonumber(first[2]) or 1) - 1)
end

local function push(move)
  local arguments = {}
  if move.target == "waiting-children" then
    local now = milliseconds()
    for _, job in ipairs(move.jobs) do
      arguments[#arguments + 1] = now
      arguments[#arguments + 1] = job.id
    end
  elseif move.command == "ZADD" then
    local last = redis.pcall("INCRBY", key.counter, #move.jobs)
    if type(last) == "table" then return last.err end
    local front = beforeAll()
    for index, job in ipairs(move.jobs) do
      local score = job.priority * COUNTER_RANGE + (last - #move.jobs + index) % COUNTER_RANGE
      if job.priority == 0 and job.lifo then score, front = front, front - 1 end
      arguments[#arguments + 1] = string.format("%.0f", score)
      arguments[#arguments + 1] = job.id
    end
  else
    for index, job in ipairs(move.jobs) do arguments[index] = job.id end
  end
  return refusal(move.command, key[move.target], unpack(arguments))
end

local function takeBack(move)
  for _, job in ipairs(move.jobs) do
    if move.command == "ZADD" then
      redis.pcall("ZREM", key[move.target], job.id)
    else
      redis.pcall("LREM", key[move.target], move.command == "LPUSH" and 1 or -1, job.id)
    end
  end
end

-- Once there is a list `paused`, a resume of 1.x to 5.x renames it over `wait`, and what that holds
-- is lost. So jobs that another tool left in `wait` of a paused queue go to `paused` first, which is
-- what these releases' own pause does.
local function keepFromResume(queue, moves)
  local makesPaused = false
  for _, move in ipairs(moves) do makesPaused = makesPaused or move.target == "paused" end
  if not makesPaused or queue.pausedList or not queue.jobsInWait then return nil end
  local refused = refusal("RENAMENX", key.wait, key.paused)
  for _, move in ipairs(moves) do
    if not refused and move.target == "wait" then move.target = "paused" end
  end
  return refused
end

-- What Redis says to a removal from the state, tried with a member that is not there.
local function refusedRemoval()
  local member = "\0"
  while scoresOf({ member })[1] do member = member .. "\0" end
  return refusal("ZREM", key.state, member)
end

local function moveJobs(move, forbidden)
  local refused = forbidden or push(move)
  if refused then return refused end
  local ids = {}
  for index, job in ipairs(move.jobs) do ids[index] = job.id end
  refused = refusal("ZREM", key.state, unpack(ids))
  if refused then takeBack(move) end
  return refused
end

local function restoreInParent(job)
  -- A cluster may hold the parent in another slot; then the error becomes the note.
  if attempt("EXISTS", job.parent) ~= 1 then return end
  local found
  if state == "completed" then
    found = attempt("HDEL", job.parent .. ":processed", job.name) == 1
  else
    found = attempt("ZREM", job.parent .. ":unsuccessful", job.name) == 1
    found = attempt("HDEL", job.parent .. ":failed", job.name) == 1 or found
  end
  if found then attempt("SADD", job.parent .. ":dependencies", job.name) end
end

local cleared = { "finishedOn", "processedOn", "defa" }
cleared[#cleared + 1] = state == "completed" and "returnvalue" or "failedReason"
if resetMade then
  cleared[#cleared + 1] = "atm"
  cleared[#cleared + 1] = "attemptsMade"
end
if resetStarted then cleared[#cleared + 1] = "ats" end

local function announce(queue, job)
  told("HDEL", redis.pcall("HDEL", job.name, unpack(cleared)))
  if job.parent then restoreInParent(job) end
  told("XADD", redis.pcall("XADD", key.events, "MAXLEN", "~", queue.maxEvents, "*",
    "event", job.waits and "waiting-children" or "waiting", "jobId", job.id, "prev", state))
end

local function wakeWorkers(queue, targets)
  if queue.paused then return end
  -- Markers: harmless before 5.0.0, and without one an idle worker sleeps for seconds. While the
  -- global concurrency is used up, the job that ends wakes the next (as BullMQ ≥5.9.0 has it).
  if targets.marker and not queue.maxed then
    attempt("ZADD", key.marker, 0, "0")
  end
  -- A 4.x worker blocks on `wait` only; from 5.0.0 on the entry is thrown away when popped. Before
  -- 3.1.3 it would run as a job, but no such release knows `prioritized`.
  if targets.four and redis.call("EXISTS", key.wait) == 0 then
    attempt("LPUSH", key.wait, "0:0")
  end
end

local queue = readQueue()
local foreign = refuseForeign(queue)
if foreign then return redis.error_reply(foreign) end

local ids = {}
for index = FIRST_JOB, #ARGV, 2 do ids[#ids + 1] = ARGV[index] end
local scores = scoresOf(ids)

local codes, details, jobs, seen = {}, {}, {}, {}
for place, id in ipairs(ids) do
  if seen[id] then
    codes[place], details[place] = -3, ""
  else
    local job, code, detail = readJob(id, scores[place], ARGV[FIRST_JOB + 2 * place - 1])
    if job and afterChildren then
      local child
      job.waits, child = lookAtChildren(job)
      if child then job, code, detail = nil, -9, child end
    end
    if job then
      seen[id] = true
      job.place = place
      jobs[#jobs + 1] = job
    else
      codes[place], details[place] = code, detail
    end
  end
end

local moved, targets = {}, {}
local moves = partByMove(queue, jobs)
-- Who may not remove should not push either: taking it back may be forbidden too.
local forbidden = refusedRemoval() or keepFromResume(queue, moves)
for _, move in ipairs(moves) do
  local refused = moveJobs(move, forbidden)
  for _, job in ipairs(move.jobs) do
    codes[job.place] = refused and 0 or 1
    details[job.place] = refused or move.target
    if not refused then moved[#moved + 1] = job end
    if not refused and not job.waits then
      local modern = job.modern or queue.modern
      targets.marker = targets.marker or modern or (queue.major or 0) >= 5
      targets.four = targets.four or (not modern and job.target == "prioritized")
    end
  end
end

-- In the order of the request, which is the order in which the events should be read.
if #moves > 1 or (moves[1] and moves[1].mixed) then
  table.sort(moved, function(one, other) return one.place < other.place end)
end
for _, job in ipairs(moved) do announce(queue, job) end
wakeWorkers(queue, targets)

local reply = { note }
for place = 1, #ids do
  reply[#reply + 1] = codes[place]
  reply[#reply + 1] = details[place]
end
reply[#reply + 1] = clock() - began
return reply
