-- Wakes workers that wait for jobs.
-- part: calls

-- Wakes idle workers: targets.marker for those of ≥5.0.0, targets.four for those of 4.x.
local function wakeWorkers(key, queue, targets)
  if queue.paused then return end
  -- Markers are harmless before 5.0.0; without one an idle worker sleeps for seconds. While the
  -- global concurrency is used up, the next job to end wakes a worker (as in BullMQ ≥5.9.0).
  if targets.marker and not queue.maxed then
    attempt("ZADD", key.marker, 0, "0")
  end
  -- A 4.x worker blocks on `wait` only; since 5.0.0 the entry is discarded when popped. Before
  -- 3.1.3 it would run as a job, but no such release has `prioritized`.
  if targets.four and redis.call("EXISTS", key.wait) == 0 then
    attempt("LPUSH", key.wait, "0:0")
  end
end
