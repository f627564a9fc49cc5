--[[
  Restores removed jobs as they were: hash, logs, children, place in the state, what the parent
  waits for, and the deduplication that was held. Only where nothing of the job is there now.

  No release of BullMQ can do this. Nothing is restored half-way: if Redis refuses a part, what was
  written of the job, and of those that go with it, is deleted again. Restore jobs in the reverse
  order of their removal, so that a parent finds its children.

  KEYS   the queue's keys, in the order of SUFFIXES; then, for a cluster, keys of other queues
  ARGV   1 microseconds after which no more jobs are begun; one that goes with the one after it is
         no end
         then for each job: "1" if it goes with the one after it, base key and colon, id,
         suffix of its state's key ("" for one that was in no state, and is in none again),
         score there or "", ids ahead of it and behind it in a list, or "",
         and how many were ahead, or "", "1" if the queue was paused,
         its score in `priority` or "", "1" if its parent waited for it,
         the parent's score in `waiting-children` or "", when it had finished or "", its full key,
         base key and colon, and id, or "", the job's deduplication if it held it,
         the time in ms at which that ends, or "",
         then each after its number of elements: fields and values, logs, dependencies, `processed`
         and `failed` as keys and values, `unsuccessful` as scores and keys, and fields and values
         of the job that waits for the deduplication (as in lua/whole.lua)
  Reply  first a note: empty, or the first error of an effect after a job is back; then for each job
         that was begun a code and a detail:
           1 and the suffix of the key in which it is, or "no state"   0 and why: refused
          -3 and why: "taken", since something of that id is there; "deduplication", since another
             job holds it; "children", since it would wait for a child that never ends
         last the microseconds that all of it took, 0 if the server can't measure them
         An error reply that starts with QTUIREFUSED: see retry.lua. Nothing was written.

  The event is `undone`, as in lua/unretry.lua.
]]
-- part: calls
-- part: clock
-- part: keys
-- part: evidence
-- part: delays
-- part: destination
-- part: events
-- part: jobkeys
-- part: lastchild
-- part: pending
local key = bySuffix(KEYS)
local began = clock()
local at = 1

local LISTS = { wait = true, paused = true, active = true }
local AT_ONCE = 1000 -- elements in one command
local NEAR = 200 -- members at the tail among which a neighbour is cheaper to find than by Redis

local function nextArgument()
  at = at + 1
  return ARGV[at]
end

local function nextList()
  local found = {}
  for place = 1, tonumber(nextArgument()) do found[place] = nextArgument() end
  return found
end

local function readJob()
  local job = { together = nextArgument() == "1", base = nextArgument(), id = nextArgument() }
  job.state = nextArgument()
  job.score, job.ahead, job.behind, job.index =
    nextArgument(), nextArgument(), nextArgument(), nextArgument()
  job.paused, job.turn = nextArgument() == "1", nextArgument()
  job.listed, job.parentScore, job.parentEnded = nextArgument() == "1", nextArgument(), nextArgument()
  job.parent = { name = nextArgument(), base = nextArgument(), id = nextArgument() }
  job.deduplication, job.heldUntil = nextArgument(), nextArgument()
  job.fields = nextList()
  job.logs, job.dependencies, job.processed = nextList(), nextList(), nextList()
  job.failed, job.unsuccessful, job.proto = nextList(), nextList(), nextList()
  job.stuck = nextList()
  job.name = job.base .. job.id
  return job
end

-- Reading --------------------------------------------------------------------------------------

local function isTaken(job)
  local names = { job.name, job.name .. ":lock" }
  for _, suffix in ipairs(BESIDE) do names[#names + 1] = job.name .. ":" .. suffix end
  for _, name in ipairs(names) do
    -- Another job's id may read like a key beside this one.
    if redis.call("EXISTS", name) == 1 and (name == job.name or not isJobHash(name)) then
      return true
    end
  end
  local there = not LISTS[job.state] and redis.call("ZSCORE", job.base .. job.state, job.id)
  return there and true or false
end

local function isHeldByOther(job)
  if job.deduplication == "" then return false end
  local owner = redis.call("GET", job.base .. "de:" .. job.deduplication)
  return owner and owner ~= job.id or false
end

-- Whether it would wait for a child that never ends, other than those for which it did so before.
local function waitsInVain(job)
  local before = {}
  for _, child in ipairs(job.stuck) do before[child] = true end
  for _, child in ipairs(job.dependencies) do
    if not before[child] and not isPending(child) then return true end
  end
  return false
end

-- Writing --------------------------------------------------------------------------------------

local function write(command, name, elements)
  for start = 1, #elements, AT_ONCE do
    local last = math.min(start + AT_ONCE - 1, #elements)
    local refused = refusal(command, name, unpack(elements, start, last))
    if refused then return refused end
  end
  return nil
end

local function writeKeys(job)
  return write("HSET", job.name, job.fields)
    or write("RPUSH", job.name .. ":logs", job.logs)
    or write("SADD", job.name .. ":dependencies", job.dependencies)
    or write("HSET", job.name .. ":processed", job.processed)
    or write("HSET", job.name .. ":failed", job.failed)
    or write("ZADD", job.name .. ":unsuccessful", job.unsuccessful)
end

-- The keys that were written; those of other jobs with such a name are not.
local function deleteKeys(job)
  redis.pcall("DEL", job.name)
  for _, suffix in ipairs(BESIDE) do
    if #job[suffix] > 0 then redis.pcall("DEL", job.name .. ":" .. suffix) end
  end
end

-- Inserts a job beside a neighbour that is near the tail; whether there is one. An insertion by
-- Redis would search the list from its head.
local function insertNearTail(list, job)
  local members, first = redis.call("LRANGE", list, -NEAR, -1), nil
  for place = #members, 1, -1 do
    if members[place] == job.behind then first = place + 1 end
    if members[place] == job.ahead then first = place end
    if first then break end
  end
  if not first or refusal("LTRIM", list, 0, -1) or refusal("RPUSH", list, job.id) then
    return false
  end
  -- Nothing is refused any more: it follows a write of this script, or was tried.
  if first <= #members then
    redis.call("LTRIM", list, 0, first - #members - 3)
    redis.call("RPUSH", list, job.id, unpack(members, first))
  end
  return true
end

-- Whether a job was added before the one that is the next to run.
local function isOlderThanTail(list, job)
  local next = redis.pcall("HGET", job.base .. redis.call("LINDEX", list, -1), "timestamp")
  local added
  for place = 1, #job.fields, 2 do
    if job.fields[place] == "timestamp" then added = tonumber(job.fields[place + 1]) end
  end
  next = type(next) == "string" and tonumber(next)
  return next and added and added < next
end

-- Inserts into a list beside a neighbour that is still there. Else the job is the next to run if it
-- was added before the one that is; or it is as far from the tail as before.
local function insert(list, job)
  local length = redis.pcall("LLEN", list)
  if type(length) == "table" then return length.err end
  if length == 0 then return refusal("RPUSH", list, job.id) end
  if job.ahead ~= "" and redis.call("LINDEX", list, 0) == job.ahead then
    return refusal("LPUSH", list, job.id)
  end
  if job.behind ~= "" and redis.call("LINDEX", list, -1) == job.behind then
    return refusal("RPUSH", list, job.id)
  end
  if insertNearTail(list, job) then return nil end
  local refused, done
  if job.ahead ~= "" then
    refused, done = refusal("LINSERT", list, "BEFORE", job.ahead, job.id)
    if refused or done > 0 then return refused end
  end
  if job.behind ~= "" then
    refused, done = refusal("LINSERT", list, "AFTER", job.behind, job.id)
    if refused or done > 0 then return refused end
  end
  local index = tonumber(job.index) or length
  if index == 0 or isOlderThanTail(list, job) then return refusal("RPUSH", list, job.id) end
  if index >= length then return refusal("LPUSH", list, job.id) end
  return refusal("LINSERT", list, "BEFORE", redis.call("LINDEX", list, -index), job.id)
end

-- The list of a waiting job: as before, unless the queue was paused or resumed since.
local function listFor(job, queue)
  if job.state == "active" or job.paused == queue.paused then return job.state end
  if not queue.paused then return "wait" end
  if queue.pausedList then return "paused" end
  return destination(queue, { id = job.id, modern = speaksModern(queue), priority = 0 })
end

-- Puts the job into its state: an error, or nil and the suffix of the key.
local function place(job, queue)
  if job.state == "" then return nil, "no state" end
  if not LISTS[job.state] then
    return refusal("ZADD", job.base .. job.state, job.score, job.id), job.state
  end
  local list = listFor(job, queue)
  local isNew = list == "paused" and not queue.pausedList and list ~= job.state
  if list == "prioritized" or isNew then return pushForemost(queue, list, 0, job.id), list end
  return insert(job.base .. list, job), list
end

local function holdDeduplication(job)
  if job.deduplication == "" then return end
  local held = job.base .. "de:" .. job.deduplication
  if job.heldUntil == "" then
    attempt("SET", held, job.id)
  else
    local left = tonumber(job.heldUntil) - tonumber(milliseconds())
    if left <= 0 then return end
    attempt("SET", held, job.id, "PX", string.format("%.0f", left))
  end
  local proto = job.base .. "dn:" .. job.deduplication
  if #job.proto > 0 and redis.call("EXISTS", proto) == 0 then
    noted("HSET", write("HSET", proto, job.proto))
  end
end

-- Takes a parent back that was released, if it still waits to run.
local function parkParent(parent, score)
  local queue = queueAt(parent.base)
  local from = { "wait", "paused", "prioritized" }
  for _, suffix in ipairs(from) do
    local removed = 0
    local kind = typeOf(queue.key[suffix])
    if kind == "list" then removed = attempt("LREM", queue.key[suffix], -1, parent.id) end
    if kind == "zset" then removed = attempt("ZREM", queue.key[suffix], parent.id) end
    if removed == 1 then
      attempt("ZADD", queue.key["waiting-children"], score, parent.id)
      return true
    end
  end
  return false
end

-- Makes the parent wait for the job again, unless it has run since, or is about to: with a child
-- that it waits for it could not complete.
local function rejoinParent(job)
  local parent = job.parent
  if not job.listed or attempt("EXISTS", parent.name) ~= 1 then return end
  local waiting = attempt("ZSCORE", parent.base .. "waiting-children", parent.id)
  if job.parentScore ~= "" then
    -- With a deferred failure it was not this removal that made it run.
    local doomed = attempt("HEXISTS", parent.name, "defa") == 1
    if not waiting and not doomed and not parkParent(parent, job.parentScore) then return end
  elseif job.parentEnded ~= "" and not waiting then
    if attempt("HGET", parent.name, "finishedOn") ~= job.parentEnded then return end
  end
  attempt("SADD", parent.name .. ":dependencies", job.name)
end

local function wake(job, queue, suffix)
  local modern = speaksModern(queue)
  if suffix == "delayed" then wakeForDelayed(queue.key, queue, modern) end
  if suffix == "wait" or suffix == "prioritized" then
    queue.targets.marker = queue.targets.marker or modern ~= false
    queue.targets.four = queue.targets.four or (not modern and suffix == "prioritized")
  end
end

-- Writes a job and puts it into its state: a code and a detail.
local function bring(job)
  if isTaken(job) then return -3, "taken" end
  if isHeldByOther(job) then return -3, "deduplication" end
  if waitsInVain(job) then return -3, "children" end
  local refused, suffix = writeKeys(job), nil
  if not refused then refused, suffix = place(job, queueAt(job.base)) end
  if refused then
    deleteKeys(job)
    return 0, refused
  end
  return 1, suffix
end

local function takeBack(job, suffix)
  local command = LISTS[suffix] and { "LREM", job.base .. suffix, -1, job.id }
    or { "ZREM", job.base .. suffix, job.id }
  if suffix ~= "no state" then redis.pcall(unpack(command)) end
  deleteKeys(job)
end

-- What is done for a job that is back, and for all that went with it.
local function finish(job, suffix)
  local queue = queueAt(job.base)
  if job.turn ~= "" then attempt("ZADD", job.base .. "priority", job.turn, job.id) end
  holdDeduplication(job)
  rejoinParent(job)
  wake(job, queue, suffix)
  emit(queue.key.events, queue.maxEvents, "undone", "jobId", job.id, "prev", "removed",
    "state", suffix)
end

-- Restores a job after those below it that went with it. If Redis refuses one of them, none comes
-- back: else a parent would run without it. Returns a code and a detail for each.
local function restore(family)
  local answers, refused = {}, nil
  for number, job in ipairs(family) do
    -- What can't be read is not restored: a key of a wrong type raises an error.
    local ok, code, detail = pcall(bring, job)
    if not ok then code, detail = 0, type(code) == "table" and code.err or tostring(code) end
    answers[number] = { code, detail }
    refused = code == 0 and detail
    if refused then break end
  end
  for number, job in ipairs(family) do
    local done = answers[number] and answers[number][1] == 1
    if refused and done then takeBack(job, answers[number][2]) end
    if refused then answers[number] = { 0, refused } end
    if done and not refused then finish(job, answers[number][2]) end
  end
  return answers
end

-- The call -------------------------------------------------------------------------------------

local foreign = refuseForeign(key, ARGV[3], queueAt(ARGV[3]))
if foreign then return redis.error_reply(foreign) end

local function readFamily()
  local family = {}
  repeat family[#family + 1] = readJob() until not family[#family].together
  return family
end

local reply = { "" }
while at < #ARGV do
  for _, answer in ipairs(restore(readFamily())) do
    reply[#reply + 1] = answer[1]
    reply[#reply + 1] = answer[2]
  end
  if clock() - began > tonumber(ARGV[1]) then break end
end
wakeReleased()
reply[1] = note
reply[#reply + 1] = clock() - began
return reply
