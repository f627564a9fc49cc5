--[[
  Removes a queue that an add made (add.lua), once its only job is gone again and nothing else came
  of it.

  BullMQ has no such step: after Queue.remove of the only job `meta`, `id` and `events` stay, by
  which an empty queue is known and listed. It is left alone if another job was ever added, if any
  state or scheduler is left, or if it was opened, paused or configured since.

  KEYS   the queue's keys, in the order of SUFFIXES (qtui.bullmq.keys.SCRIPT_KEYS)
  ARGV   1 the number that was reserved for the job: the only one so far
  Reply  a note: empty; a code and a detail:
           1 and "": the queue is gone
           0 and the error: refused, nothing was removed
          -3 and "": it has been used since, nothing was removed

  Supports BullMQ 1.0.0 to 6.7.0.
]]
-- part: calls
-- part: keys
local number = ARGV[1]
local key = bySuffix(KEYS)

local function isUsed()
  for _, name in ipairs({ key.wait, key.paused, key.prioritized, key.active, key.delayed,
    key.completed, key.failed, key["waiting-children"], key.groups, key["repeat"], key.priority,
    key.delay }) do
    if redis.call("EXISTS", name) == 1 then return true end
  end
  return redis.call("GET", key.id) ~= number or redis.call("HLEN", key.meta) ~= 1
    or redis.call("HEXISTS", key.meta, "opts.maxLenEvents") == 0
end

if typeOf(key.meta) ~= "hash" or typeOf(key.id) ~= "string" or isUsed() then
  return { note, -3, "" }
end
local refused = refusal("DEL", key.meta, key.id, key.events, key.marker, key.pc)
return { note, refused and 0 or 1, refused or "" }
