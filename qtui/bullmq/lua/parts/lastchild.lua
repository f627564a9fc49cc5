-- Takes a child away from its parent, and lets a parent run that waits for no child any more, as
-- BullMQ's own removal of a child does (removeParentDependencyKey). Not as its clean and drain do,
-- which delete a parent of the same queue.
-- part: calls
-- part: keys
-- part: evidence
-- part: release
-- part: destination
-- part: removal
-- part: resume
-- part: turns
-- part: events
-- part: waking

local queuesRead = {}

-- The evidence of a queue, read once a call.
local function queueAt(queueBase)
  local queue = queuesRead[queueBase]
  if not queue then
    local names = bySuffix(keysOf(queueBase))
    queue = readQueue(names, queueBase)
    queue.key, queue.targets = names, {}
    queuesRead[queueBase] = queue
  end
  return queue
end

-- Base key and id of a parent, by its JSON, since ids and queues may hold colons; else as BullMQ.
local function splitParent(parentKey, json)
  local ok, parent = pcall(cjson.decode, json or "")
  if ok and type(parent) == "table" and type(parent.queueKey) == "string" then
    local id = type(parent.id) == "string" and parent.id or ""
    if parent.queueKey .. ":" .. id == parentKey then return parent.queueKey .. ":", id end
  end
  return string.match(parentKey, "^(.*:)([^:]*)$")
end

-- A score in `prioritized` before all others.
local function foremostScore(key)
  local first = redis.pcall("ZRANGE", key.prioritized, 0, 0, "WITHSCORES")
  local lowest = first.err and 0 or math.min(0, math.ceil(tonumber(first[2]) or 1) - 1)
  return string.format("%.0f", lowest)
end

-- Pushes a job to be the next to run, of its priority if it has one: an error, or nil.
local function pushForemost(queue, target, priority, id)
  local into = queue.key[target]
  if target == "paused" then
    local refused = keepFromResume(queue.key, queue)
    if refused then return refused end
  end
  if target ~= "prioritized" then return refusal("RPUSH", into, id) end
  local score, refused = foremostScore(queue.key), nil
  if priority > 0 then score, refused = prioritizedScore(queue.key, priority) end
  return refused or refusal("ZADD", into, score, id)
end

local function takeForemost(queue, target, id)
  if target == "prioritized" then return redis.pcall("ZREM", queue.key[target], id) end
  return redis.pcall("LREM", queue.key[target], -1, id)
end

-- A parent often has not run yet, nor any job of its queue: then that of its child decides.
local function readParent(parent, queue, childBase)
  local fields = redis.pcall("HMGET", parent.name, "priority", "ats", "atm", "attemptsMade")
  if fields.err then return fields.err end
  local modern = ranModern(fields[2], fields[3], fields[4])
  if modern == nil then modern = speaksModern(queue) end
  -- Only an add of 6.x puts jobs into `wait` while the queue is paused.
  if modern == nil then modern = queue.newer or speaksModern(queueAt(childBase)) end
  parent.modern, parent.priority = modern, priorityOf(fields[1])
  return nil
end

-- Moves a parent out of `waiting-children`, to be the next to run: an error, or where it is now.
local function releaseParent(parent, childBase)
  local queue = queueAt(parent.base)
  local from = queue.key["waiting-children"]
  local function leave(id) return refusal("ZREM", from, id) end
  local refused, score = refusal("ZSCORE", from, parent.id)
  if refused or not score then return refused end
  refused = readParent(parent, queue, childBase)
    or refusedRemoval(function(id) return redis.call("ZSCORE", from, id) end, leave)
  if refused then return refused end
  local target = destination(queue, parent)
  refused = pushForemost(queue, target, parent.priority, parent.id)
  if refused then return refused end
  refused = leave(parent.id)
  if refused then
    takeForemost(queue, target, parent.id)
    return refused
  end
  if target == "paused" then queue.pausedList, queue.inPaused = true, queue.inPaused + 1 end
  -- A marker does no harm where it is not read.
  queue.targets.marker = queue.targets.marker or parent.modern ~= false
  queue.targets.four = queue.targets.four or (not parent.modern and target == "prioritized")
  return nil, target
end

local function announceReleased(parent)
  local queue = queueAt(parent.base)
  announce(queue.key.events, queue.maxEvents, "waiting", parent.id, "waiting-children")
end

-- Takes a child from what its parent waits for: an error, after which nothing has changed; or
-- whether the parent runs now.
local function leaveParent(parent, childBase, childName)
  -- On a cluster the parent may be in another slot, and waits for ever if the child just vanishes.
  local dependencies = parent.name .. ":dependencies"
  local refused, listed = refusal("SISMEMBER", dependencies, childName)
  if refused or listed == 0 then return refused end
  refused = refusal("SREM", dependencies, childName)
  if refused then return refused end
  if redis.call("EXISTS", dependencies) == 1 then return nil, false end
  local target
  refused, target = releaseParent(parent, childBase)
  if refused then redis.pcall("SADD", dependencies, childName) end
  return refused, target ~= nil
end

-- Wakes the workers of the queues of released parents; call it last.
local function wakeReleased()
  for _, queue in pairs(queuesRead) do wakeWorkers(queue.key, queue, queue.targets) end
end
