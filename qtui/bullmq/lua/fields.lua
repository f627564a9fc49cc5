--[[
  Reads fields of given jobs, in one command. Writes nothing.

  Costs Redis as much per job as two pipelined HMGETs, and a client a fraction of their time.

  KEYS   any key of the queue, by which a cluster finds the node
  ARGV   1 base key and a colon   2 number of fields   3 characters after which it stops
         then the names of the fields, then the ids
  Reply  for each job an array of its values, nil for an absent one, or nil instead of the array if
         the key is not a hash. Fewer than the ids if the values are large, but at least one.
]]
local base, width, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local FIRST_NAME = 4
local names = { unpack(ARGV, FIRST_NAME, FIRST_NAME + width - 1) }

local found, size = {}, 0
for index = FIRST_NAME + width, #ARGV do
  local values = redis.pcall("HMGET", base .. ARGV[index], unpack(names))
  if values.err then
    values = false
  else
    for at = 1, width do size = size + #(values[at] or "") end
  end
  found[#found + 1] = values
  if size > most then break end
end
return found
