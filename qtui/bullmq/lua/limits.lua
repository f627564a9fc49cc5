--[[
  Sets, removes and releases a queue's limits, all of those given or none.

  Does what BullMQ's Queue.setGlobalConcurrency (5.9.0), setGlobalRateLimit (5.60.0), the methods
  that remove them, removeRateLimitKey (5.27.0) and removeDeduplicationKey (5.17.0) do, each of them
  a plain HSET, HDEL or DEL of the client. Beyond that a value is replaced only if it still is what
  was seen, and workers are woken: BullMQ's own let an idle one sleep until its block runs out, up
  to 5 s and with jobs waiting.

  A deduplication key with a newer job stored beside it (`dn:`, ≥5.72.0) is not released while its
  job exists: jobs added then would run before the stored one, which is older.

  KEYS   the queue's keys, in the order of SUFFIXES (qtui.bullmq.keys.SCRIPT_KEYS), then those of
         the settings that have their own keys, and of jobs stored beside them
  ARGV   1 base key and a colon, then for each setting
           "field" of `meta`, or "key"; its name: concurrency, max, duration, limiter, de:<id>;
           "1" if it must be what was seen; what was seen, and what it is to be: "" for nothing,
           else "=" and the text; the milliseconds after which it expires, or ""
  Reply  a note: empty, or the first error of an effect after the change (marker); then a code and a
         detail, 0, and the microseconds:
           1 and the names of the settings     0 and why: nothing was changed
          -3 and the name of a setting that is not what was seen: nothing was changed
         An error reply that starts with QTUIREFUSED: see retry.lua.

  Supports BullMQ 1.0.0 to 6.7.0, though earlier ones than those named heed no such limit.
]]
-- part: calls
-- part: clock
-- part: keys
-- part: evidence
-- part: waking
local base = ARGV[1]
local FIRST, PARTS = 2, 6
local key = bySuffix(KEYS)
local began = clock()

local function answer(code, detail) return { note, code, detail, 0, clock() - began } end

local function shown(value) return value and "=" .. value or "" end

local function readSetting(at)
  local one = { isField = ARGV[at] == "field", name = ARGV[at + 1], pinned = ARGV[at + 2] == "1" }
  one.seen, one.wanted, one.expires = ARGV[at + 3], ARGV[at + 4], ARGV[at + 5]
  one.at = one.isField and key.meta or base .. one.name
  local refused, value
  if one.isField then
    refused, value = refusal("HGET", one.at, one.name)
  else
    refused, value = refusal("GET", one.at)
  end
  one.refused, one.now = refused, shown(value)
  return one
end

-- Why a deduplication key can't be released; nil if it can.
local function keptFor(one)
  local id = string.match(one.name, "^de:(.+)$")
  if not id or one.wanted ~= "" or one.now == "" then return nil end
  local owner = string.sub(one.now, 2)
  if redis.call("EXISTS", base .. "dn:" .. id) == 0 then return nil end
  if redis.call("EXISTS", base .. owner) == 0 then return nil end
  return "a newer job is stored under it, and is added when job " .. owner .. " ends"
end

local function put(one, value, expires)
  local text = string.sub(value, 2)
  if one.isField then
    if value == "" then return refusal("HDEL", one.at, one.name) end
    return refusal("HSET", one.at, one.name, text)
  end
  if value == "" then return refusal("DEL", one.at) end
  if expires ~= "" then return refusal("SET", one.at, text, "PX", expires) end
  return refusal("SET", one.at, text)
end

local queue = readQueue(key, base)
local foreign = refuseForeign(key, base, queue)
if foreign then return redis.error_reply(foreign) end

local settings, names = {}, {}
for at = FIRST, #ARGV, PARTS do
  local one = readSetting(at)
  if one.refused then return answer(0, one.refused) end
  if one.pinned and one.now ~= one.seen then return answer(-3, one.name) end
  local why = keptFor(one)
  if why then return answer(0, why) end
  one.left = not one.isField and redis.call("PTTL", one.at) or -1
  settings[#settings + 1], names[#names + 1] = one, one.name
end

-- A probe that changes nothing: a full memory does not forbid it, and after it nothing else.
local refused = refusal("HDEL", key.meta, "\0")
if refused then return answer(0, refused) end
for place, one in ipairs(settings) do
  refused = put(one, one.wanted, one.expires)
  if refused then
    for back = place - 1, 1, -1 do
      local other = settings[back]
      put(other, other.now, other.left > 0 and other.left or "")
    end
    return answer(0, refused)
  end
end

queue = readQueue(key, base)
local waits = holdsJobs(key.wait) or typeOf(key.prioritized) == "zset"
if waits then wakeWorkers(key, queue, { marker = queue.modern ~= false }) end
return answer(1, table.concat(names, " "))
