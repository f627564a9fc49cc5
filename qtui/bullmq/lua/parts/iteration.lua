-- The job that a scheduler waits for: if it left, the scheduler would never run again.

-- The scheduler whose current iteration a job is, if any: its next run is the time in the id.
-- `named` is the job's `rjk`, which 1.x has not before 1.86.0.
local function schedulerOf(base, id, named)
  local at = string.match(id, "^repeat:.*:(%d+)$")
  if not at then return nil end
  if named then
    local next = redis.pcall("ZSCORE", base .. "repeat", named)
    return type(next) == "string" and tonumber(next) == tonumber(at) and named or nil
  end
  local due = redis.pcall("ZRANGEBYSCORE", base .. "repeat", at, at, "LIMIT", 0, 1)
  return not due.err and due[1] or nil
end
