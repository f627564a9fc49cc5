--[[
  Removes a queue that an add made (add.lua), once its only job is gone again and nothing else came
  of it.

  BullMQ has no such step: after Queue.remove of the only job `meta`, `id` and `events` stay, by
  which an empty queue is known and listed. It is left alone if another job was ever added, if any
  state or scheduler is left, if it was opened, paused or configured since, or if a worker has had
  the job: what its events say, since some workers write nothing else into a queue.

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

-- What is announced of a job that is added, taken back and put back, and that no worker has.
local OWN_EVENTS = { added = true, waiting = true, delayed = true, removed = true, undone = true }

local function isEventOfOthers(fields)
  for at = 1, #fields, 2 do
    if fields[at] == "event" then return not OWN_EVENTS[fields[at + 1]] end
  end
  return true
end

local function isUsed()
  for _, name in ipairs({ key.wait, key.paused, key.prioritized, key.active, key.delayed,
    key.completed, key.failed, key["waiting-children"], key.groups, key["repeat"], key.priority,
    key.delay }) do
    if redis.call("EXISTS", name) == 1 then return true end
  end
  for _, event in ipairs(redis.call("XRANGE", key.events, "-", "+", "COUNT", 100)) do
    if isEventOfOthers(event[2]) then return true end
  end
  return redis.call("GET", key.id) ~= number or redis.call("HLEN", key.meta) ~= 1
    or redis.call("HEXISTS", key.meta, "opts.maxLenEvents") == 0
end

local isEvents = typeOf(key.events) == "stream" or typeOf(key.events) == "none"
if typeOf(key.meta) ~= "hash" or typeOf(key.id) ~= "string" or not isEvents or isUsed() then
  return { note, -3, "" }
end
local refused = refusal("DEL", key.meta, key.id, key.events, key.marker, key.pc)
return { note, refused and 0 or 1, refused or "" }
