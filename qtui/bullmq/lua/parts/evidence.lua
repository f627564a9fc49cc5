-- Evidence in a queue's keys and jobs of its kind and of the release that runs it.
-- part: keys
-- part: events

-- Whether a job last ran under BullMQ 5 or later; nil if it has no counter of attempts.
local function ranModern(ats, atm, attemptsMade)
  if ats or atm then return true end
  if attemptsMade then return false end
  return nil
end

local NEWEST = 4 -- jobs read per state; several, since the hash of the newest may be gone

-- The verdict of the newest job with counters; nil if none has any.
local function firstToTell(base, ids)
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
local function lastRanModern(key, base)
  local answer = nil
  local function take(modern)
    if answer == nil or modern then answer = modern end
  end
  for _, set in ipairs({ key.completed, key.failed }) do
    if typeOf(set) == "zset" then
      take(firstToTell(base, redis.call("ZREVRANGE", set, 0, NEWEST - 1)))
    end
  end
  if typeOf(key.active) == "list" then
    take(firstToTell(base, redis.call("LRANGE", key.active, 0, NEWEST - 1)))
  end
  return answer
end

-- Whether a job has never run. While the queue is paused, a job that never ran was put into
-- `paused` by an add or a pause of 1.x to 5.x, or into `wait` by an add of 6.x.
local function neverRan(base, id)
  if isMarker(id) then return false end
  local seen = redis.pcall("HMGET", base .. id, "timestamp", "ats", "atm", "attemptsMade",
    "stacktrace", "pb")
  if seen.err or not seen[1] then return false end
  for index = 2, 6 do
    if seen[index] then return false end
  end
  return true
end

local function anyNeverRan(base, list, first, last)
  if typeOf(list) ~= "list" then return false end
  for _, id in ipairs(redis.call("LRANGE", list, first, last)) do
    if neverRan(base, id) then return true end
  end
  return false
end

-- Whether a process of 2.x to 5.x opened the queue last; Elixir's port always names a 5.x.
local function isNamedOlder(version)
  return version ~= "bullmq:5.65.1" and string.find(version, "^bullmq:[2-5]%.") ~= nil
end

-- Whether a release before 6 runs the queue: see qtui.bullmq.dialect.QueueEvidence.older.
local function isOlder(key, base, queue)
  if queue.modern == false then return true end
  return isNamedOlder(queue.version) and not queue.jobsInWait
    and anyNeverRan(base, key.paused, -NEWEST, -1)
end

-- Whether 6.x runs the queue: see qtui.bullmq.dialect.QueueEvidence.newer.
local function isNewer(key, base, queue)
  return not queue.pausedList and not isNamedOlder(queue.version)
    and (anyNeverRan(base, key.wait, 0, NEWEST - 1) or anyNeverRan(base, key.wait, -NEWEST, -1))
end

-- The evidence of a queue's release, and the settings for its events and markers.
local function readQueue(key, base)
  local meta = { false, false, false, false }
  if typeOf(key.meta) == "hash" then
    meta = redis.call("HMGET", key.meta, "paused", "version", "concurrency", "opts.maxLenEvents")
  end
  local queue = { paused = meta[1] and true or false, version = meta[2] or "" }
  queue.configured = (meta[2] or meta[3] or meta[4]) and true or false
  queue.maxEvents = eventsKept(meta[4])
  queue.major = tonumber(string.match(queue.version, "^bullmq:(%d+)%."))
  queue.modern = lastRanModern(key, base)
  local limit = tonumber(meta[3] or "")
  queue.maxed = limit ~= nil and typeOf(key.active) == "list"
    and redis.call("LLEN", key.active) >= limit
  queue.knowsPrioritized = redis.call("EXISTS", key.prioritized, key.pc) > 0
  queue.pausedList = redis.call("EXISTS", key.paused) == 1
  queue.jobsInWait = holdsJobs(key.wait)
  queue.inPaused = typeOf(key.paused) == "list" and redis.call("LLEN", key.paused) or 0
  queue.older = queue.paused and isOlder(key, base, queue)
  queue.newer = queue.paused and isNewer(key, base, queue)
  return queue
end

-- The error for a queue that is not BullMQ's own; must agree with qtui.bullmq.dialect.kind_of.
local function refuseForeign(key, base, queue)
  if string.sub(queue.version, 1, 11) == "bullmq-pro:" or typeOf(key.groups) == "zset" then
    return "QTUIREFUSED pro"
  end
  local bullmq = queue.configured or queue.modern or typeOf(key.events) == "stream"
    or typeOf(key.prioritized) == "zset" or typeOf(key["waiting-children"]) == "zset"
    or typeOf(key.marker) == "zset" or typeOf(key.pc) == "string"
  if bullmq then return nil end
  return redis.call("EXISTS", unpack(keysOf(base))) > 0 and "QTUIREFUSED bull" or "QTUIREFUSED gone"
end
