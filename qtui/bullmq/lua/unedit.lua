--[[
  Takes back an edit that retried its job in the same step: the job returns to the finish from which
  it was retried, with the data and the priority that it had. An edit without a retry is taken back
  by edit.lua itself.

  The whole of unretry.lua and of edit.lua precede this text as functions. The first moves the job
  and writes to its hash; only if it has done so the second writes there too.

  KEYS   the queue's keys, in the order of SUFFIXES (qtui.bullmq.keys.SCRIPT_KEYS)
  ARGV   1 id   2 SHA-1 of the data that the edit wrote
         3 the number of arguments for unretry.lua, for this one job, and these
         then those for edit.lua
  Reply  as in edit.lua; with code -3 the detail is one of unretry.lua's, or "data"
]]
-- part: calls
-- part: clock
-- script: unretry
-- script: edit
local base, id, digest = ARGV[4], ARGV[1], ARGV[2]
local many = tonumber(ARGV[3])
local began = clock()

local function some(first, last)
  local found = {}
  for at = first, last do found[#found + 1] = ARGV[at] end
  return found
end

local data = redis.pcall("HGET", base .. id, "data")
if type(data) == "string" and redis.sha1hex(data) ~= digest then
  return { "", -3, "data", clock() - began }
end
local reply = unretry(KEYS, some(4, 3 + many))
if reply.err or reply[2] ~= 1 then return reply end
local written = edit(KEYS, some(4 + many, #ARGV))
-- What writes the fields was allowed a moment ago.
if note == "" and written[2] ~= 1 then note = "HSET: " .. tostring(written[3]) end
return { note, 1, reply[3], clock() - began }
