-- The server's time: one clock for measuring, one for timestamps.

-- Microseconds, for differences only. Since 7.2 Redis has os.clock, and its TIME does not advance
-- within a script.
local function clock()
  local found, seconds = pcall(function() return os.clock() end)
  if found then return seconds * 1000000 end
  local time = redis.pcall("TIME")
  return time.err and 0 or time[1] * 1000000 + time[2]
end

-- Milliseconds since 1970, as in BullMQ's scores.
local function milliseconds()
  local now = redis.call("TIME")
  return string.format("%.0f", tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000))
end
