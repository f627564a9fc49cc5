--[[
  Resumes a queue, and brings back every job that any release left in `paused`.

  Does what BullMQ's Queue.resume does (script pause), without its faults. 1.x to 5.x rename
  `paused` over `wait`: jobs that 6.x, or a retry before 3.13.1, put into `wait` meanwhile are lost.
  6.x moves 7,000 ids a call out of `paused`, and clients other than Node's strand the rest. Here
  nothing is renamed over anything, and nothing stays in `paused`. The list runs first whose next
  job was added earlier, in doubt `paused`, as in 6.x.

  While both lists are long, calls gather their ids in `paused`, with the queue still paused: no
  worker takes one out of turn, and if the calls end half-way, fewer ids than before are where a
  resume of 1.x to 5.x loses them. The last call joins, resumes and wakes the workers in one step.

  A queue that is not paused, with jobs stranded in `paused`, gets those back.

  KEYS   the queue's keys, in the order of SUFFIXES (qtui.bullmq.keys.SCRIPT_KEYS)
  ARGV   1 base key and a colon   2 the most ids that one call may move
  Reply  a note: empty, or the first error of an effect after the resume (marker, event); then a
         code and a detail, the number of ids that later calls have to move, and the microseconds:
           1 and "wait"     0 and the error: nothing was changed
          -3 and "": it is not paused, and nothing is stranded
         An error reply that starts with QTUIREFUSED: see retry.lua.

  Supports BullMQ 1.0.0 to 6.7.0.
]]
-- part: calls
-- part: clock
-- part: keys
-- part: evidence
-- part: events
-- part: waiting_lists
-- part: waking
local base, most = ARGV[1], tonumber(ARGV[2])
local key = bySuffix(KEYS)
local began = clock()

local function answer(code, detail, left)
  return { note, code, detail, left or 0, clock() - began }
end

local queue = readQueue(key, base)
local foreign = refuseForeign(key, base, queue)
if foreign then return redis.error_reply(foreign) end

local inWait, wrong = lengthOf(key.wait)
local inPaused, wrongToo = lengthOf(key.paused)
if wrong or wrongToo then return answer(0, wrong or wrongToo) end
if not queue.paused and inPaused == 0 then return answer(-3, "") end

local refused = refusal("HDEL", key.meta, "\0")
if not refused and inPaused > 0 then refused = refusedJoin(key.wait, key.paused) end
if refused then return answer(0, refused) end

local waitFirst = inWait > 0 and inPaused > 0 and waitIsFirst(base, key.wait, key.paused)
if math.min(inWait, inPaused) > most then
  local step = queue.paused and gather or bringBack
  refused = step(key.wait, key.paused, most, waitFirst)
  if refused then return answer(0, refused) end
  if not queue.paused then wakeAfterPause(key, queue) end
  return answer(1, "wait", math.min(redis.call("LLEN", key.wait), redis.call("LLEN", key.paused)))
end

if queue.paused then
  refused = refusal("HDEL", key.meta, "paused")
  if refused then return answer(0, refused) end
end
if inPaused > 0 then
  refused = joinAs(key.wait, key.wait, key.paused, waitFirst)
  if refused then
    if queue.paused then redis.call("HSET", key.meta, "paused", 1) end
    return answer(0, refused)
  end
end
wakeAfterPause(key, queue)
if queue.paused then announceQueue(key.events, queue.maxEvents, "resumed") end
return answer(1, "wait")
