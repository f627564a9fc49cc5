-- The two lists of waiting jobs, `wait` and `paused`, joined without losing one or their order.
-- part: calls
-- part: keys

local CHUNK = 1000 -- ids in one command

-- The length of a list; nil, and the error, if the key is of another type.
local function lengthOf(name)
  local kind = typeOf(name)
  if kind == "none" then return 0 end
  if kind ~= "list" then return nil, "WRONGTYPE: " .. name .. " is a " .. kind .. ", not a list" end
  return redis.call("LLEN", name)
end

-- The error if Redis refuses one of the commands that join lists: nothing is changed.
local function refusedJoin(wait, paused)
  for _, name in ipairs({ wait, paused }) do
    local refused = refusal("LTRIM", name, 0, -1)
    if refused then return refused end
    refused = refusal("RENAMENX", name, name)
    if refused and not string.find(refused, "no such key", 1, true) then return refused end
  end
  return nil
end

-- Pushes ids in front of a list, or behind it, in their order.
local function pushAll(name, ids, atTail)
  for first = 1, #ids, CHUNK do
    local some = {}
    for place = first, math.min(first + CHUNK - 1, #ids) do
      some[#some + 1] = atTail and ids[place] or ids[#ids + 1 - place]
    end
    local refused = refusal(atTail and "RPUSH" or "LPUSH", name, unpack(some))
    -- Only the first push can be refused: the others follow a write of this script.
    if refused then return refused end
  end
  return nil
end

-- The ids that are no markers: what those announce is announced anew.
local function withoutMarkers(members)
  local ids = {}
  for _, id in ipairs(members) do
    if not isMarker(id) then ids[#ids + 1] = id end
  end
  return ids
end

-- When the job that is next in a list was added, in ms; nil if unknown.
local function nextAdded(base, name)
  local ids = withoutMarkers(redis.call("LRANGE", name, -4, -1))
  for place = #ids, 1, -1 do
    local at = redis.pcall("HGET", base .. ids[place], "timestamp")
    at = type(at) == "string" and tonumber(at)
    if at then return at end
  end
  return nil
end

-- Whether the jobs in `wait` run before those in `paused`: they do if the first of them was added
-- earlier. In doubt those in `paused` do, as after a resume of 6.x.
local function waitIsFirst(base, wait, paused)
  local one, other = nextAdded(base, wait), nextAdded(base, paused)
  return one ~= nil and other ~= nil and one < other
end

-- Moves up to `most` ids from `wait` to `paused`, keeping the order of both.
local function gather(wait, paused, most, waitFirst)
  if waitFirst then -- its newest ones, behind which the rest of it will come
    return pushAll(paused, withoutMarkers(redis.call("LRANGE", wait, 0, most - 1)), true)
      or refusal("LTRIM", wait, most, -1)
  end
  return pushAll(paused, withoutMarkers(redis.call("LRANGE", wait, -most, -1)), false)
    or refusal("LTRIM", wait, 0, -most - 1)
end

-- Moves up to `most` ids from `paused` to `wait`, keeping the order of both.
local function bringBack(wait, paused, most, waitFirst)
  if waitFirst then
    return pushAll(wait, redis.call("LRANGE", paused, -most, -1), false)
      or refusal("LTRIM", paused, 0, -most - 1)
  end
  return pushAll(wait, redis.call("LRANGE", paused, 0, most - 1), true)
    or refusal("LTRIM", paused, most, -1)
end

-- Joins both lists as `into`, one of the two names, in the order of `waitIsFirst`. The shorter list
-- must have `most` ids at most. Returns an error if Redis refuses it; then both are as they were
-- (call `refusedJoin` first).
local function joinAs(into, wait, paused, waitFirst)
  local inWait, inPaused = redis.call("LLEN", wait), redis.call("LLEN", paused)
  local refused, whole
  if inWait > 0 and inPaused > 0 then
    if inWait <= inPaused then
      refused, whole = gather(wait, paused, inWait, waitFirst), paused
    else
      refused, whole = bringBack(wait, paused, inPaused, waitFirst), wait
    end
    if refused then return refused end
  else
    whole = inWait > 0 and wait or paused
  end
  if whole == into or redis.call("EXISTS", whole) == 0 then return nil end
  return refusal("RENAMENX", whole, into)
end
