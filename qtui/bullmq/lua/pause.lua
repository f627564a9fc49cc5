--[[
  Pauses a queue, in the way of the release that runs it.

  Does what BullMQ's Queue.pause does (script pause), without its faults. 1.x to 5.x rename `wait`
  to `paused`, over what is there: jobs in `paused` are lost, also when a queue is paused that is
  paused already. Here nothing is renamed over anything, and a paused queue is left alone.

  Where waiting jobs are kept while the queue is paused: see qtui.bullmq.dialect.kept_while_paused,
  which decides the same; a test holds the two equal.

  KEYS   the queue's keys, in the order of SUFFIXES (qtui.bullmq.keys.SCRIPT_KEYS)
  ARGV   1 base key and a colon   2 the most ids that one call may move
  Reply  a note: empty, or the first error of an effect after the pause (marker, event); then a code
         and a detail, the number of ids that later calls have to move first, and the microseconds:
           1 and the list that keeps the waiting jobs     0 and the error: nothing was changed
          -3 and "": it is paused already
         If ids are left to be moved, the queue is not paused yet: call again.
         An error reply that starts with QTUIREFUSED: see retry.lua.

  Supports BullMQ 1.0.0 to 6.7.0.
]]
-- part: calls
-- part: clock
-- part: keys
-- part: evidence
-- part: destination
-- part: events
-- part: waiting_lists
local base, most = ARGV[1], tonumber(ARGV[2])
local key = bySuffix(KEYS)
local began = clock()

local function answer(code, detail, left)
  return { note, code, detail, left or 0, clock() - began }
end

local queue = readQueue(key, base)
local foreign = refuseForeign(key, base, queue)
if foreign then return redis.error_reply(foreign) end
if queue.paused then return answer(-3, "") end

local inWait, wrong = lengthOf(key.wait)
local inPaused, wrongToo = lengthOf(key.paused)
if wrong or wrongToo then return answer(0, wrong or wrongToo) end

local place = keptWhilePaused(queue)
local joins = place == "paused" and inWait > 0

-- A probe: it changes nothing, and shows whether the flag could be taken back. It is a write that a
-- full memory does not forbid, and after it Redis lets a script continue (as it does BullMQ's).
local refused = refusal("HDEL", key.meta, "\0")
if not refused and joins then refused = refusedJoin(key.wait, key.paused) end
if refused then return answer(0, refused) end

local waitFirst = joins and inPaused > 0 and waitIsFirst(base, key.wait, key.paused)
if joins and math.min(inWait, inPaused) > most then
  -- Stranded jobs go back to `wait` first, where they belong while the queue is not paused: if the
  -- calls end half-way, fewer are stranded than before.
  refused = bringBack(key.wait, key.paused, most, waitFirst)
  if refused then return answer(0, refused) end
  return answer(1, place, redis.call("LLEN", key.paused))
end

refused = refusal("HSET", key.meta, "paused", 1)
if refused then return answer(0, refused) end
if joins then
  refused = joinAs(key.paused, key.wait, key.paused, waitFirst)
  if refused then
    redis.call("HDEL", key.meta, "paused")
    return answer(0, refused)
  end
end
attempt("DEL", key.marker)
announceQueue(key.events, queue.maxEvents, "paused")
return answer(1, place)
