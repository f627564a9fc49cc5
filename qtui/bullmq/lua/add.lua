--[[
  Adds one job, in the dialect of the release that runs the queue, in two calls: the first reserves
  an id, the second makes the job with it, up to a moment.

  Does what BullMQ's Queue.add does (scripts addJob, 1.0.0 to 4.14.1, and addStandardJob,
  addDelayedJob and addPrioritizedJob since then) for a job without parent, repetition and
  deduplication. With its id known before, a job whose call got no reply can be looked for, and the
  call can be sent again without making a second job. The counter of ids is as after one add.

  Nothing is left half-way: if Redis refuses the place, the job's hash is deleted again.

  KEYS   the queue's keys, in the order of SUFFIXES (qtui.bullmq.keys.SCRIPT_KEYS)
  ARGV   1 base key and a colon   2 "1" if the queue may be new
         then to reserve an id nothing more; to add the job
         3 its id   4 the number that was reserved   5 name   6 data   7 opts, as JSON
         8 timestamp in ms, or "" for the server's   9 delay in ms   10 priority   11 "1" for lifo
         12 the last moment, in ms by the server's clock, at which it may be added, or ""
  Reply  first a note: empty, or the first error of an effect after the job was added; then a code
         and a detail:
           1 and the key it went to; or the number reserved, a space, and the server's time in ms
           0 and the error: refused, nothing was added ("QTUITAKEN": the id is taken)
          -3 and "number": it is not reserved (any more); or "late"; nothing was added
         last the microseconds that all of it took, 0 if the server can't measure them
         An error reply that starts with QTUIREFUSED, as in retry.lua.

  Supports BullMQ 1.0.0 to 6.7.0.
]]
-- part: calls
-- part: clock
-- part: keys
-- part: evidence
-- part: destination
-- part: release
-- part: turns
-- part: delays
-- part: resume
-- part: events
-- part: waking
local base, mayBeNew = ARGV[1], ARGV[2] == "1"
local id, number, jobName, data, opts = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]

local key = bySuffix(KEYS)
local began = clock()

local function replied(code, detail)
  return { note, code, detail, clock() - began }
end

local queue = readQueue(key, base)
local foreign = refuseForeign(key, base, queue)
if foreign and not (mayBeNew and foreign == "QTUIREFUSED gone") then
  return redis.error_reply(foreign)
end

-- A queue is recognised by its `meta`.
if foreign then
  local refused = refusal("HSET", key.meta, "opts.maxLenEvents", queue.maxEvents)
  if refused then return replied(0, refused) end
end

if not id then
  local refused, reserved = refusal("INCR", key.id)
  return replied(refused and 0 or 1, refused or string.format("%.0f ", reserved) .. milliseconds())
end

local stamp = ARGV[8] ~= "" and ARGV[8] or milliseconds()
local job = {
  id = id, name = base .. id, delay = tonumber(ARGV[9]), priority = priorityOf(ARGV[10]),
  lifo = ARGV[11] == "1", modern = speaksModern(queue),
}

-- In 1.x to 4.x the options say of each job that it is not delayed.
local function options()
  if job.modern ~= false or job.delay > 0 then return opts end
  return '{"delay":0,' .. string.sub(opts, 2)
end

local function store()
  return refusal("HSET", job.name, "name", jobName, "data", data, "opts", options(),
    "timestamp", stamp, "delay", string.format("%.0f", job.delay), "priority", ARGV[10])
end

-- Puts the job into `delayed`, to be due when its delay has passed since its timestamp.
local function delay()
  job.due = tonumber(stamp) + job.delay
  local score, refused
  if job.modern == false then
    -- Until 5.8.5 the order among those due together is that of their numbers.
    score = job.due * SCORES_A_MS + tonumber(number) % SCORES_A_MS
  else
    score, refused = delayedScore(key, job.due)
  end
  if refused then return refused end
  return refusal("ZADD", key.delayed, string.format("%.0f", score), id)
end

local late -- the error if the job waits, but out of its turn

local function push(target)
  if target == "prioritized" then
    local score, refused = prioritizedScore(key, job.priority)
    return refused or refusal("ZADD", key.prioritized, score, id)
  end
  local refused = target == "paused" and keepFromResume(key, queue)
  if refused then return refused end
  if job.priority > 0 and ordersWait(key, queue, job.modern) then
    refused = refusal("RPUSH", key[target], id)
    if refused then return refused end
    late = takeTurn(key, key[target], job.priority, id)
    return nil
  end
  return refusal(job.lifo and "RPUSH" or "LPUSH", key[target], id)
end

local refused, exists = refusal("EXISTS", job.name)
if refused then return replied(0, refused) end
if exists == 1 then return replied(0, "QTUITAKEN") end
-- A server that took over may not know of the number: it would give it to another job.
local counted = tonumber(redis.call("GET", key.id) or "")
if not counted or counted < tonumber(number) then return replied(-3, "number") end
-- A call that was given up may come after the job that it makes has run and was removed.
local latest = tonumber(ARGV[12])
if latest and tonumber(milliseconds()) > latest then return replied(-3, "late") end

-- What deletes the hash again must be allowed before it is made.
refused = refusal("DEL", job.name) or store()
if refused then return replied(0, refused) end
local target = job.delay > 0 and "delayed" or destination(queue, job)
refused = target == "delayed" and delay() or target ~= "delayed" and push(target) or nil
if refused then
  redis.call("DEL", job.name)
  return replied(0, refused)
end

if late and note == "" then note = late end
emit(key.events, queue.maxEvents, "added", "jobId", id, "name", jobName)
if target == "delayed" then
  emit(key.events, queue.maxEvents, "delayed", "jobId", id,
    "delay", string.format("%.0f", job.due))
  wakeForDelayed(key, queue, job.modern)
else
  emit(key.events, queue.maxEvents, "waiting", "jobId", id)
  wakeWorkers(key, queue, {
    marker = job.modern ~= false,
    four = job.modern ~= true and target == "prioritized",
  })
end
return replied(1, target)
