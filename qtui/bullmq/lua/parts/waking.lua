-- How workers learn that there is something to do.
-- part: calls

-- Wakes idle workers: targets.marker for those of 5.0.0 on, targets.four for those of 4.x.
local function wakeWorkers(key, queue, targets)
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
