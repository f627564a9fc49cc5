-- Jobs in `delayed`: their scores, and the wake-up of workers that sleep until the next one is due.
-- part: release

local SCORES_A_MS = 4096 -- a score is the due time in ms, and an order among those due together

-- The score of a job that becomes due at `due` ms, behind all that become due with it (as BullMQ
-- ≥5.8.6 counts it in its scripts); or nil and Redis's error.
local function delayedScore(key, due)
  local first, last = due * SCORES_A_MS, (due + 1) * SCORES_A_MS - 1
  local refused, found = refusal("ZREVRANGEBYSCORE", key.delayed, string.format("%.0f", last),
    string.format("%.0f", first), "WITHSCORES", "LIMIT", 0, 1)
  if refused then return nil, refused end
  local highest = tonumber(found[2] or "")
  return highest and math.min(highest + 1, last) or first
end

-- The earliest score in `delayed` as a time in ms; nil if it is empty.
local function nextDue(key)
  local first = redis.pcall("ZRANGE", key.delayed, 0, 0, "WITHSCORES")
  local score = not first.err and tonumber(first[2] or "")
  return score and score / SCORES_A_MS or nil
end

-- Wakes a worker that sleeps longer than until the next job is due; it looks and sleeps again.
-- BullMQ before 5.1.9 has none of this in changeDelay. Returns whether idle workers notice.
local function wakeForDelayed(key, queue, modern)
  local due = nextDue(key)
  if not due then return true end
  if modern ~= false then
    -- Member 1 since 5.1.9; workers of 5.0.0 and later read the score of whichever member they pop.
    attempt("ZADD", key.marker, due, "1")
  end
  if modern then return true end
  if typeOf(key.delay) == "stream" then
    -- The QueueScheduler of 1.x reads here when it has to look; later releases read it nowhere.
    attempt("XADD", key.delay, "*", "nextTimestamp", string.format("%.0f", due))
  end
  if queue.paused then return true end
  if not wakesByList(key, queue, modern) then return false end
  local wakeUp = string.format("0:%.0f", due)
  local waiting = attempt("LLEN", key.wait) or 0
  if waiting == 0 then
    attempt("LPUSH", key.wait, wakeUp)
  elseif waiting == 1 then
    local only = redis.call("LINDEX", key.wait, 0)
    local later = tonumber(string.match(only, "^0:(%d+)$") or "")
    if later and later > due then attempt("LSET", key.wait, 0, wakeUp) end
  end
  return true
end
