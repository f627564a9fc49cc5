-- What a job loses and what is told of it when it is to run again. Effects that stop nothing.
-- part: calls

-- How many events the queue keeps, from the field opts.maxLenEvents of its `meta`.
local function eventsKept(text)
  return type(text) == "string" and string.match(text, "^%d+$") or "10000"
end

local function announce(stream, most, event, id, previous)
  told("XADD", redis.pcall("XADD", stream, "MAXLEN", "~", most, "*",
    "event", event, "jobId", id, "prev", previous))
end

-- Fields that a job loses: those of its end, and where asked for the counters of its attempts.
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
