-- The fields cleared and the events added for a job that runs again. Errors here stop nothing.
-- part: calls

-- The number of events that the queue keeps, from opts.maxLenEvents in its `meta`.
local function eventsKept(text)
  return type(text) == "string" and string.match(text, "^%d+$") or "10000"
end

local function announce(stream, most, event, id, previous)
  told("XADD", redis.pcall("XADD", stream, "MAXLEN", "~", most, "*",
    "event", event, "jobId", id, "prev", previous))
end

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
  told("HDEL", redis.pcall("HDEL", name, unpack(fields)))
end
