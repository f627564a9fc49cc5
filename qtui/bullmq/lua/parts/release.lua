-- Which release a queue is written for, where no job shows it by its counters.
-- part: evidence

-- Whether BullMQ 5 or later runs the queue; nil if unknown. A queue in which no job has run
-- has no counters, and its `meta.version` names the release that opened it last. A marker proves
-- nothing: it is also written where the release is unknown.
local function speaksModern(queue)
  if queue.modern ~= nil then return queue.modern end
  -- .NET's 1.x writes as 6.x does; node's 1.x writes no version.
  if queue.major then return queue.major >= 5 or queue.major == 1 end
  return nil
end

-- Whether 1.x to 3.x run the queue, which keep a job's turn in `wait` by the sorted set `priority`.
local function ordersWait(key, queue, modern)
  if modern or queue.knowsPrioritized or queue.major == 4 then return false end
  return queue.major == 2 or queue.major == 3 or typeOf(key.priority) == "zset"
end

-- Whether workers of 3.1.3 to 4.18.3 block on `wait`, and take `0:<ms>` for a wake-up. Before that
-- it would be run as a job; those releases write the stream `delay`.
local function wakesByList(key, queue, modern)
  if modern then return false end
  if queue.knowsPrioritized then return true end
  return (queue.major == 3 or queue.major == 4) and redis.call("EXISTS", key.delay) == 0
end
