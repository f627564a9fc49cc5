-- The fields of a job that are cleared when it runs again: what a snapshot must hold
-- (qtui.operations.supply.snapshots). Errors here stop nothing.
-- part: calls

-- Fields to clear: those of the job's end, and on request its counters of attempts.
local function fieldsToClear(result, resetMade, resetStarted)
  local fields = { "finishedOn", "processedOn", "defa", unpack(result) }
  if resetMade then
    fields[#fields + 1] = "atm"
    fields[#fields + 1] = "attemptsMade"
  end
  if resetStarted then fields[#fields + 1] = "ats" end
  return fields
end

local function clear(name, fields)
  noted("HDEL", redis.pcall("HDEL", name, unpack(fields)))
end
