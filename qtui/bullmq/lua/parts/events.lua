-- The events added for a job that runs again. Errors here stop nothing.
-- part: calls

-- The number of events that the queue keeps, from opts.maxLenEvents in its `meta`.
local function eventsKept(text)
  return type(text) == "string" and string.match(text, "^%d+$") or "10000"
end

-- Adds an event with any fields.
local function emit(stream, most, ...)
  noted("XADD", redis.pcall("XADD", stream, "MAXLEN", "~", most, "*", "event", ...))
end

-- The same as `emit` for the event of a job that leaves a state: there are as many as jobs.
local function announce(stream, most, event, id, previous)
  noted("XADD", redis.pcall("XADD", stream, "MAXLEN", "~", most, "*", "event", event,
    "jobId", id, "prev", previous))
end

-- The events added for a queue as a whole: `paused`, `resumed`.
local function announceQueue(stream, most, event)
  noted("XADD", redis.pcall("XADD", stream, "MAXLEN", "~", most, "*", "event", event))
end
