-- Jobs in lists.
-- part: keys

-- Whether a list holds a member. Redis below 6.0.6 has no LPOS; a key of another type holds none.
local function holds(name, member)
  local place = redis.pcall("LPOS", name, member)
  if type(place) ~= "table" then return place and true end
  if typeOf(name) ~= "list" then return false end
  for start = 0, redis.call("LLEN", name) - 1, 1000 do
    for _, one in ipairs(redis.call("LRANGE", name, start, start + 999)) do
      if one == member then return true end
    end
  end
  return false
end
