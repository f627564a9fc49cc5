-- A job's turn among the waiting: its score in `prioritized`, its place in `wait` before 4.0.0.
-- part: calls

local COUNTER_RANGE = 4294967296 -- 2^32 jobs of one priority keep their order

-- The score of a job that is last of its priority in `prioritized`, or Redis's error.
local function prioritizedScore(key, priority)
  local refused, last = refusal("INCR", key.pc)
  if refused then return nil, refused end
  return string.format("%.0f", priority * COUNTER_RANGE + last % COUNTER_RANGE)
end

-- Moves a job that is the last element of a list, the next to run, behind those of its priority and
-- of higher ones, as 1.x to 3.x order them (addJob, changePriority).
local function takeTurn(key, list, priority, id)
  local refused = refusal("ZADD", key.priority, priority, id)
  if refused then return refused end
  local ahead = redis.call("ZCOUNT", key.priority, 0, priority) - 1
  -- Without the job itself, which is at the tail.
  local others = redis.call("LLEN", list) - 1
  local pivot = ahead > 0 and redis.call("LINDEX", list, others - ahead)
  if not pivot or others - ahead < 0 then return nil end
  refused = refusal("LINSERT", list, "BEFORE", pivot, id)
  return refused or refusal("LREM", list, -1, id)
end
