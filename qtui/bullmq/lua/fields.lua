--[[
  Reads fields of given jobs, in one command. Writes nothing.

  Costs Redis as much per job as two pipelined HMGETs, and a client a fraction of their time.

  KEYS   any key of the queue, by which a cluster finds the node
  ARGV   1 base key and a colon   2 number of fields   3 characters after which it stops
         4 the place of `parentKey` among the fields, to read what the parent's keys hold about the
           job, or "0"
         then the names of the fields, then the ids
  Reply  for each job an array of its values, nil for an absent one, or nil instead of the array if
         the key is not a hash. With 4 another value follows, a JSON object: the job's value in the
         parent's `processed`, score in its `unsuccessful`, reason in its `failed`, each only if it
         is there; nil without a parent. On a cluster the parent may be in another slot, where our
         scripts cannot change it either: then the object is empty.
         Fewer jobs than the ids if the values are large, but at least one.
]]
local base, width, most, parentAt = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local FIRST_NAME = 5
local names = { unpack(ARGV, FIRST_NAME, FIRST_NAME + width - 1) }

-- What a parent's keys hold about a finished child, as JSON.
local function familyOf(parent, child)
  local found = {}
  for suffix, command in pairs({ processed = "HGET", unsuccessful = "ZSCORE", failed = "HGET" }) do
    local held = redis.pcall(command, parent .. ":" .. suffix, child)
    if type(held) == "string" then found[suffix] = held end
  end
  return next(found) and cjson.encode(found) or "{}"
end

local found, size = {}, 0
for index = FIRST_NAME + width, #ARGV do
  local values = redis.pcall("HMGET", base .. ARGV[index], unpack(names))
  if values.err then
    values = false
  else
    if parentAt > 0 then
      local parent = values[parentAt]
      values[width + 1] = parent and familyOf(parent, base .. ARGV[index])
    end
    for at = 1, #values do size = size + #(values[at] or "") end
  end
  found[#found + 1] = values
  if size > most then break end
end
return found
