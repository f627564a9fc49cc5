--[[
  Promotes delayed jobs: they go to the waiting side at once, in the dialect of the release that
  runs the queue.

  Does for each job what BullMQ's Job.promote does (script promote, 1.0.0 to 6.7.0), without the
  faults of single releases and of the bulk promotion (promoteJobs, 4.6.0 to 6.7.0): priority and
  lifo are honoured, `delay` becomes 0, workers are woken, and in a paused queue the job goes where
  no release's resume loses it. The iteration that a scheduler waits for stays: promoted, it would
  use up its slot, and the next one would come a whole period after that.

  Nothing can be lost half-way: a job is pushed first, and removed from `delayed` after that, both
  in one script, so that no other client sees the state in between (parts/moves).

  KEYS   the queue's keys, in the order of SUFFIXES (qtui.bullmq.keys.SCRIPT_KEYS)
  ARGV   1 base key and a colon
         then for each job: its id, and the score it had in `delayed` when read ("" for any)
  Reply  first a note: empty, or the first error of an effect after the move (event, marker, field);
         then for each job a code and a detail:
           1 and the key it went to     0 and the error: refused, the job is where it was
          -1 and "": no such job       -3 and "": not in `delayed`, or due at another time
          -8 and the scheduler whose current iteration it is
         last the microseconds that all of it took, 0 if the server can't measure them
         An error reply that starts with QTUIREFUSED, as in retry.lua. Nothing was written.

  Supports BullMQ 1.0.0 to 6.7.0. The key a job goes to must be the same as in qtui.bullmq.dialect.
]]
-- part: calls
-- part: clock
-- part: keys
-- part: evidence
-- part: release
-- part: iteration
-- part: moves
-- part: events
-- part: waking
local base = ARGV[1]
local FIRST_JOB = 2

local key = bySuffix(KEYS)
local from = key.delayed

local began = clock()

local queue = readQueue(key, base)
local foreign = refuseForeign(key, base, queue)
if foreign then return redis.error_reply(foreign) end

local modern = speaksModern(queue)
local turns = ordersWait(key, queue, modern)

local function readJob(id, score, seenScore)
  local name = base .. id
  local fields = redis.pcall("HMGET", name, "timestamp", "priority", "opts", "rjk", "gid",
    "ats", "atm", "attemptsMade")
  if fields.err then return nil, 0, fields.err end
  if not fields[1] and not fields[3] and redis.call("EXISTS", name) == 0 then return nil, -1, "" end
  if not isPinned(score, seenScore) then return nil, -3, "" end
  if fields[5] then return nil, 0, "the job belongs to a BullMQ Pro group" end
  local scheduler = schedulerOf(base, id, fields[4])
  if scheduler then return nil, -8, scheduler end
  local ran = ranModern(fields[6], fields[7], fields[8])
  if ran == nil then ran = modern end
  local priority = priorityOf(fields[2])
  return {
    id = id, name = name, modern = ran, priority = priority, lifo = isLifo(fields[3]),
    takesTurn = turns and priority > 0,
  }
end

local ids = {}
for index = FIRST_JOB, #ARGV, 2 do ids[#ids + 1] = ARGV[index] end
local scores = scoresOf(from, ids)

local codes, details, jobs, seen = {}, {}, {}, {}
for place, id in ipairs(ids) do
  if seen[id] then
    codes[place], details[place] = -3, ""
  else
    local job, code, detail = readJob(id, scores[place], ARGV[FIRST_JOB + 2 * place - 1])
    if job then
      seen[id] = true
      job.place = place
      jobs[#jobs + 1] = job
    else
      codes[place], details[place] = code, detail
    end
  end
end

-- Since 3.1.3 and until 4.18.3 a wake-up is alone in `wait`: a job there replaces it.
local wakeUp = modern ~= true and typeOf(key.wait) == "list" and redis.call("LINDEX", key.wait, 0)

local moved, targets = moveJobs(key, queue, from, jobs, codes, details)
local waits = false
for _, job in ipairs(moved) do
  noted("HSET", redis.pcall("HSET", job.name, "delay", "0"))
  announce(key.events, queue.maxEvents, "waiting", job.id, "delayed")
  waits = waits or job.target == "wait"
end
if waits and wakeUp and isMarker(wakeUp) then attempt("LREM", key.wait, -1, wakeUp) end
if #moved > 0 and modern == nil then targets.marker = true end
wakeWorkers(key, queue, targets)

local reply = { note }
for place = 1, #ids do
  reply[#reply + 1] = codes[place]
  reply[#reply + 1] = details[place]
end
reply[#reply + 1] = clock() - began
return reply
