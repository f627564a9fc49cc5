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

-- Wakes workers of every release after a resume, as BullMQ's own does (script pause, 4.0.0 to
-- 6.7.0); before 5.0.0 the pushed jobs wake them. With no evidence of the release the marker is
-- written: harmless before 5.0.0, and since then a worker sleeps for seconds without it.
local function wakeAfterPause(key, queue)
  local waits = typeOf(key.wait) == "list"
  local prioritized = typeOf(key.prioritized) == "zset"
  local major = queue.major or 0
  if queue.modern or (queue.modern == nil and (queue.major == nil or major >= 5)) then
    if waits or prioritized then
      attempt("ZADD", key.marker, 0, "0")
      return
    end
    local due = typeOf(key.delayed) == "zset"
      and redis.call("ZRANGE", key.delayed, 0, 0, "WITHSCORES")[2]
    -- 5.0.0 to 5.1.9 name the member `0` here, but heed any.
    if due then attempt("ZADD", key.marker, tonumber(due) / 4096, "1") end
  elseif prioritized and not waits then
    attempt("LPUSH", key.wait, "0:0") -- what exists in `prioritized` is proof of 4.x
  end
end
