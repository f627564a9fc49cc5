-- The server's time: one clock to measure by, one to write down.

-- Microseconds, of which only differences mean anything. Redis has os.clock since 7.2, and stops its
-- TIME within a script since then.
local function clock()
  local found, seconds = pcall(function() return os.clock() end)
  if found then return seconds * 1000000 end
  local time = redis.pcall("TIME")
  return time.err and 0 or time[1] * 1000000 + time[2]
end

-- Milliseconds since 1970, as BullMQ's scores have them.
local function milliseconds()
  local now = redis.call("TIME")
  return string.format("%.0f", tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000))
end
