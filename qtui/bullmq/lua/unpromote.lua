--[[
  Takes promotions back: jobs that still wait where a promotion put them return to `delayed`, due
  when they were, with the delay that they had.

  No release of BullMQ can do this. A job is left alone once it has started, or was changed or
  moved. `wait` and `paused` count as one place, since a pause or a resume of 1.x to 5.x
  renames one to the other. A job whose time has come meanwhile is promoted again by the next worker
  that looks.

  Nothing can be lost half-way: a job is added to `delayed` first, and leaves the place where it
  waits after that; if it was not there, or Redis refuses that, it leaves `delayed` again.

  KEYS   the queue's keys, in the order of SUFFIXES (qtui.bullmq.keys.SCRIPT_KEYS)
  ARGV   1 base key and a colon
         then for each job: its id, its score in `delayed` before, the suffix of the key it went to,
         its stamp (parts/pins) after the promotion, and `=` and its field `delay` before, or ""
  Reply  first a note: empty, or the first error of an effect after the move; then for each job a
         code and a detail:
           1 and "delayed"              0 and the error: refused, the job is where it was
          -1 and "": no such job       -3 and why: started, changed or moved
         last the microseconds that all of it took, 0 if the server can't measure them
         An error reply that starts with QTUIREFUSED, as in retry.lua. Nothing was written.

  Supports BullMQ 1.0.0 to 6.7.0.
]]
-- part: calls
-- part: clock
-- part: keys
-- part: evidence
-- part: release
-- part: pins
-- part: delays
-- part: events
local base = ARGV[1]
local FIRST_JOB, ARGUMENTS = 2, 5

local key = bySuffix(KEYS)
local began = clock()

local queue = readQueue(key, base)
local foreign = refuseForeign(key, base, queue)
if foreign then return redis.error_reply(foreign) end

local modern = speaksModern(queue)
local turns = ordersWait(key, queue, modern)
local LISTS = { wait = true, paused = true }

-- Why a job is not as the promotion left it: a code and a detail; nil if it is.
local function changed(job)
  local fields = redis.pcall("HMGET", job.name, "timestamp", "processedOn", "ats", "atm",
    "attemptsMade", "delay")
  if fields.err then return 0, fields.err end
  if not fields[1] and redis.call("EXISTS", job.name) == 0 then return -1, "" end
  local stamp = stampOf(fields[1], fields[2], fields[3], fields[4], fields[5])
  if stamp ~= tonumber(job.stamp) then return -3, "started" end
  -- A delay that is as it was before the promotion was not set: Redis refused that.
  if fields[6] ~= "0" and "=" .. (fields[6] or "") ~= job.delay then return -3, "changed" end
  local refused, seen = refusal("ZSCORE", key.delayed, job.id)
  if refused then return 0, refused end
  if seen then return -3, "moved" end
  return nil
end

-- Takes a job out of where it waits: an error, or whether it was there.
local function leave(job)
  if not LISTS[job.target] then
    local refused, number = refusal("ZREM", key[job.target], job.id)
    return refused, number == 1
  end
  local other = job.target == "wait" and "paused" or "wait"
  for _, list in ipairs({ job.target, other }) do
    local refused, number = refusal("LREM", key[list], 1, job.id)
    if refused then return refused end
    if number == 1 then return nil, true end
  end
  return nil, false
end

local function takeBack(job)
  local code, detail = changed(job)
  if code then return code, detail end
  local refused = refusal("ZADD", key.delayed, job.score, job.id)
  if refused then return 0, refused end
  local was
  refused, was = leave(job)
  if refused or not was then
    redis.pcall("ZREM", key.delayed, job.id)
    return refused and 0 or -3, refused or "moved"
  end
  if turns and LISTS[job.target] then attempt("ZREM", key.priority, job.id) end
  if job.delay == "" then
    attempt("HDEL", job.name, "delay")
  else
    attempt("HSET", job.name, "delay", string.sub(job.delay, 2))
  end
  emit(key.events, queue.maxEvents, "delayed", "jobId", job.id,
    "delay", string.format("%.0f", math.floor(tonumber(job.score) / SCORES_A_MS)))
  return 1, "delayed"
end

local reply, moved = { "" }, false
for index = FIRST_JOB, #ARGV, ARGUMENTS do
  local job = { id = ARGV[index], score = ARGV[index + 1], target = ARGV[index + 2],
    stamp = ARGV[index + 3], delay = ARGV[index + 4] }
  job.name = base .. job.id
  local code, detail = takeBack(job)
  moved = moved or code == 1
  reply[#reply + 1] = code
  reply[#reply + 1] = detail
end
if moved then wakeForDelayed(key, queue, modern) end
reply[1] = note
reply[#reply + 1] = clock() - began
return reply
