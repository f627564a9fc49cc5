-- A queue's keys by suffix. SUFFIXES comes from qtui.bullmq.keys.SCRIPT_KEYS, which also gives the
-- order of KEYS; there is no other list.

-- The names of a queue's keys, in the order of SUFFIXES; base ends with a colon.
local function keysOf(base)
  local names = {}
  for place, suffix in ipairs(SUFFIXES) do names[place] = base .. suffix end
  return names
end

-- The same by suffix: `wait`, `waiting-children`, …
local function bySuffix(names)
  local found = {}
  for place, suffix in ipairs(SUFFIXES) do found[suffix] = names[place] end
  return found
end

local function typeOf(name)
  return redis.call("TYPE", name).ok
end

local function isMarker(member)
  return member == "0" or string.find(member, "^0:%d+$") ~= nil
end

local function holdsJobs(list)
  if typeOf(list) ~= "list" then return false end
  for _, range in ipairs({ { 0, 3 }, { -4, -1 } }) do
    for _, member in ipairs(redis.call("LRANGE", list, range[1], range[2])) do
      if not isMarker(member) then return true end
    end
  end
  return false
end
