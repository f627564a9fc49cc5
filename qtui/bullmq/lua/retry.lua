--[[
  Retries a batch of finished jobs, in the dialect of the release that runs the queue.

  Does for each job what BullMQ's Job.retry does (script reprocessJob), without the faults of single
  releases. Priority is honoured (by BullMQ since 6.3.15): in `prioritized` if jobs or keys show
  that it is read, else by the order of the batch. In a paused queue the job goes where no release's
  resume loses it (BullMQ before 3.13.1 let it run, or lost it). A parent waits for its child again
  (BullMQ since 5.58.2, and since 5.79.2 without the WRONGTYPE that left the job half retried).

  Nothing can be lost half-way: a job is pushed first, and removed from its set after that, both in
  one script, so that no other client sees the state in between (parts/moves).

  KEYS   the queue's keys, in the order of SUFFIXES (qtui.bullmq.keys.SCRIPT_KEYS)
  ARGV   1 base key and a colon   2 state: failed or completed
         3 "1" to delete the counter of attempts made   4 "1" for attempts started
         5 "1" for jobs whose children are retried too: a job with unfinished children waits for
           them in `waiting-children`, as it did when it was added
         then for each job: its id, and the score it had in the state when read ("" for any). If its
         score is another one, it has run and finished again since: code -3.
  Reply  first a note: empty, or the first error of an effect after the move (event, marker, cleared
         fields); then for each job a code and a detail:
           1 and the key it went to     0 and the error: refused, the job is where it was
          -1 and "": no such job       -3 and "": not in the state
          -9 and a child's key: with 5 only; the child has finished, and the job can't complete
         last the microseconds that all of it took, 0 if the server can't measure them
         An error reply that starts with QTUIREFUSED: the queue is not one of BullMQ's own ("bull",
         "pro"), or no key of it is left ("gone"). Nothing was written.

  Supports BullMQ 1.0.0 to 6.7.0. The key a job goes to must be the same as in qtui.bullmq.dialect;
  a test holds the two equal.
]]
-- part: calls
-- part: clock
-- part: keys
-- part: evidence
-- part: moves
-- part: parent
-- part: events
-- part: fields
-- part: waking
local base, state = ARGV[1], ARGV[2]
local resetMade, resetStarted = ARGV[3] == "1", ARGV[4] == "1"
local afterChildren = ARGV[5] == "1"
local FIRST_JOB = 6

local key = bySuffix(KEYS)
local from = key[state]

local began = clock()

local function readJob(id, score, seenScore)
  local name = base .. id
  local fields = redis.pcall("HMGET", name, "timestamp", "priority", "opts", "parentKey", "gid",
    "ats", "atm", "attemptsMade")
  if fields.err then return nil, 0, fields.err end
  if not fields[1] and redis.call("EXISTS", name) == 0 then return nil, -1, "" end
  if not isPinned(score, seenScore) then return nil, -3, "" end
  if fields[5] then return nil, 0, "the job belongs to a BullMQ Pro group" end
  return {
    id = id, name = name, parent = fields[4],
    modern = ranModern(fields[6], fields[7], fields[8]),
    priority = priorityOf(fields[2]), lifo = isLifo(fields[3]),
  }
end

local looks = 500 -- children read in one call: some 2 ms

-- For a job whose children are retried too: whether it has to wait for children; and the key of a
-- finished child with which it can't complete, if any: it failed again, or was not retried. If such
-- a child is missed among thousands, the parent stays waiting, as in BullMQ.
local function lookAtChildren(job)
  if typeOf(job.name .. ":unsuccessful") == "zset" then
    return false, redis.call("ZRANGE", job.name .. ":unsuccessful", 0, 0)[1]
  end
  if typeOf(job.name .. ":dependencies") ~= "set" then return false end
  for _, child in ipairs(redis.call("SRANDMEMBER", job.name .. ":dependencies", looks)) do
    looks = looks - 1
    -- A job that runs or waits has no finishedOn. On a cluster the child may be in another slot.
    local seen = redis.pcall("HMGET", child, "timestamp", "finishedOn")
    if not seen.err and (seen[2] or not seen[1]) then return false, child end
  end
  return true
end

local result = state == "completed" and "returnvalue" or "failedReason"
local cleared = fieldsToClear({ result }, resetMade, resetStarted)

local function settle(queue, job)
  clear(job.name, cleared)
  if job.parent then restoreInParent(job, state) end
  local event = job.waits and "waiting-children" or "waiting"
  announce(key.events, queue.maxEvents, event, job.id, state)
end

local queue = readQueue(key, base)
local foreign = refuseForeign(key, base, queue)
if foreign then return redis.error_reply(foreign) end

local ids = {}
for index = FIRST_JOB, #ARGV, 2 do ids[#ids + 1] = ARGV[index] end
local scores = scoresOf(from, ids)

local codes, details, jobs, seen = {}, {}, {}, {}
for place, id in ipairs(ids) do
  if seen[id] then
    codes[place], details[place] = -3, ""
  else
    local job, code, detail = readJob(id, scores[place], ARGV[FIRST_JOB + 2 * place - 1])
    if job and afterChildren then
      local child
      job.waits, child = lookAtChildren(job)
      if child then job, code, detail = nil, -9, child end
    end
    if job then
      seen[id] = true
      job.place = place
      jobs[#jobs + 1] = job
    else
      codes[place], details[place] = code, detail
    end
  end
end

local moved, targets = moveJobs(key, queue, from, jobs, codes, details)
for _, job in ipairs(moved) do settle(queue, job) end
wakeWorkers(key, queue, targets)

local reply = { note }
for place = 1, #ids do
  reply[#reply + 1] = codes[place]
  reply[#reply + 1] = details[place]
end
reply[#reply + 1] = clock() - began
return reply
