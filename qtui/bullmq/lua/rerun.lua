--[[
  Reruns jobs of a flow in one step: parks ancestors in `waiting-children`, makes them wait again
  for the children that will run again, and finally retries the jobs that run first.

  No release of BullMQ can do this. It moves a parent on only from `waiting-children`, when the last
  child leaves `dependencies` (moveToFinished, 1.16.0 to 6.7.0); a parent that runs with children in
  `dependencies` or `unsuccessful` can't complete (-4, -9). So a parent must be parked before any
  child below it can finish; in one script both happen at once.

  Everything is read before anything is written: if a job is no longer where it was, nothing is
  written. A write that Redis refuses ends the call. What was written by then is a flow that waits,
  and the same rerun continues from there.

  The whole of retry.lua precedes this text as the function `retry(KEYS, ARGV)`, so jobs are retried
  here by the same script. Both share the parts named below.

  KEYS   keys of the queues involved, so that a cluster knows the slot
  ARGV   1 "failure", "start", or "resume" for a start that was interrupted
         2 "1" to delete the counter of attempts made   3 "1" for attempts started
         4 the number of parents, ancestors first, and for each of them
           base key and colon, id, where it was seen (failed, completed, waiting-children, doomed:
           in wait, paused or prioritized, with a deferred failure), its score, "1" if more of its
           children come in a later call, the number of children, and for each of these
           full key, base key and colon, id, and the score at which it was seen finished, or "", or
           "gone" for one whose hash is gone and for which the parent is to wait no more
         then the number of batches of jobs to be released, and for each of them
           base key and colon, failed or completed, the number of jobs, and for each
           id and score
  Reply  an error that starts with QTUIREFUSED, as in retry.lua, if one of the queues is refused;
         else a note (see retry.lua), then for each parent and each job, in this order, a code and a
         detail:
           1 and where it is now     0 and why: nothing was done with it
          -1 and "": no such job    -3 and "": not where it was read

  mode failure: if a child has completed but its parent lacks the result (BullMQ 5.42.0 to 5.58.1
  leave it in `unsuccessful`), the result is recorded, and the child does not run again.
  mode start: a child that its parent waits for again loses `finishedOn`. So if a long rerun is
  interrupted, a finished child in `dependencies` without that field is known to be still to retry.
  And a parent that waits already gets a new score in `waiting-children`: a job that finished before
  it has not run in this rerun. Resuming a rerun keeps these scores.
]]
-- part: calls
-- part: clock
-- part: keys
-- part: lists
-- part: removal
-- part: lists
-- part: events
-- part: fields
-- script: retry
local mode = ARGV[1] == "resume" and "start" or ARGV[1]
local stamps = ARGV[1] == "start"
local RESET_MADE, RESET_STARTED = ARGV[2], ARGV[3]
local at = 3

local function nextArgument()
  at = at + 1
  return ARGV[at]
end

local function readParent()
  local parent = { base = nextArgument(), id = nextArgument(), seen = nextArgument() }
  parent.score, parent.more = nextArgument(), nextArgument() == "1"
  parent.name = parent.base .. parent.id
  parent.children = {}
  for place = 1, tonumber(nextArgument()) do
    parent.children[place] = {
      name = nextArgument(), base = nextArgument(), id = nextArgument(), score = nextArgument(),
    }
  end
  return parent
end

local function readBatch()
  local batch = { base = nextArgument(), state = nextArgument(), jobs = {} }
  for place = 1, tonumber(nextArgument()) do
    batch.jobs[place] = { id = nextArgument(), score = nextArgument() }
  end
  return batch
end

-- Reading --------------------------------------------------------------------------------------

local function isIn(base, state, id, score)
  local refused, now = refusal("ZSCORE", base .. state, id)
  if refused then return false, refused end
  return now and (score == "" or tonumber(now) == tonumber(score)) or false
end

-- The key in which a job with a deferred failure waits; nil if it no longer waits.
local function findDoomed(job)
  if redis.call("HEXISTS", job.name, "defa") == 0 then return nil end
  if redis.call("ZSCORE", job.base .. "prioritized", job.id) then return "prioritized" end
  for _, list in ipairs({ "wait", "paused" }) do
    if holds(job.base .. list, job.id) then return list end
  end
  return nil
end

-- What to do with a child, by where it is: "back", "record", "drop", or nil for nothing; and an
-- error if it has changed since the plan was made.
local function judge(child)
  local refused, exists = refusal("EXISTS", child.name)
  if refused then return nil, refused end
  if child.score == "gone" then
    if exists == 0 then return "drop" end
    return nil, "the child " .. child.name .. " is there again"
  end
  if exists == 0 then return nil end
  local completed = redis.call("ZSCORE", child.base .. "completed", child.id)
  local failed = redis.call("ZSCORE", child.base .. "failed", child.id)
  if completed and mode == "failure" then return "record" end
  local finished = completed or failed
  if finished and child.score == "" then
    return nil, "the child " .. child.name .. " has finished, and does not run again with it"
  end
  if finished and tonumber(finished) ~= tonumber(child.score) then
    return nil, "the child " .. child.name .. " has finished meanwhile"
  end
  return "back"
end

-- Whether the parent lists the child. A key of the wrong type ends the call here, before any write.
local function listsChild(parent, child)
  local pending = redis.call("SISMEMBER", parent.name .. ":dependencies", child.name) == 1
  local unsuccessful = redis.call("ZSCORE", parent.name .. ":unsuccessful", child.name)
  local ignored = redis.call("HEXISTS", parent.name .. ":failed", child.name) == 1
  local processed = redis.call("HEXISTS", parent.name .. ":processed", child.name) == 1
  return pending or unsuccessful or ignored or processed
end

local function look(parent)
  local refused, exists = refusal("EXISTS", parent.name)
  if refused then return 0, refused end
  if exists == 0 then return -1, "" end
  if redis.call("ZSCORE", parent.base .. "waiting-children", parent.id) then
    -- Already parked: by an earlier call with more of its children, or it never left.
    parent.seen, parent.score = "waiting-children", ""
  elseif parent.seen == "doomed" then
    parent.list = findDoomed(parent)
    if not parent.list then return -3, "" end
  elseif not isIn(parent.base, parent.seen, parent.id, parent.score) then
    return -3, ""
  end
  for _, child in ipairs(parent.children) do
    local changed
    child.action, changed = judge(child)
    if changed then return -3, changed end
    -- A child that its parent has dropped (rdof, removeChildDependency) stays dropped.
    if not listsChild(parent, child) then child.action = nil end
  end
  redis.call("SCARD", parent.name .. ":dependencies")
  return 1, ""
end

local function lookAtJob(batch, job)
  local refused, exists = refusal("EXISTS", batch.base .. job.id)
  if refused then return 0, refused end
  if exists == 0 then return -1, "" end
  if not isIn(batch.base, batch.state, job.id, job.score) then return -3, "" end
  return 1, ""
end

-- Writing --------------------------------------------------------------------------------------

local function putBack(parent, child)
  local refused = refusal("SADD", parent.name .. ":dependencies", child.name)
    or refusal("ZREM", parent.name .. ":unsuccessful", child.name)
    or refusal("HDEL", parent.name .. ":failed", child.name)
  if not refused and mode == "start" then
    refused = refusal("HDEL", parent.name .. ":processed", child.name)
      or refusal("HDEL", child.name, "finishedOn")
  end
  return refused
end

local function record(parent, child)
  if redis.call("HEXISTS", parent.name .. ":processed", child.name) == 0 then
    local value = redis.call("HGET", child.name, "returnvalue") or "null"
    local refused = refusal("HSET", parent.name .. ":processed", child.name, value)
    if refused then return refused end
  end
  return refusal("SREM", parent.name .. ":dependencies", child.name)
    or refusal("ZREM", parent.name .. ":unsuccessful", child.name)
    or refusal("HDEL", parent.name .. ":failed", child.name)
end

local function drop(parent, child)
  return refusal("SREM", parent.name .. ":dependencies", child.name)
    or refusal("ZREM", parent.name .. ":unsuccessful", child.name)
end

local function giveBackChildren(parent)
  for _, child in ipairs(parent.children) do
    local refused
    if child.action == "back" then refused = putBack(parent, child) end
    if child.action == "record" then refused = record(parent, child) end
    if child.action == "drop" then refused = drop(parent, child) end
    if refused then return refused end
  end
  return nil
end

local cleared =
  fieldsToClear({ "failedReason", "returnvalue" }, RESET_MADE == "1", RESET_STARTED == "1")

local function announceParked(job, previous)
  local kept = eventsKept(redis.pcall("HGET", job.base .. "meta", "opts.maxLenEvents"))
  announce(job.base .. "events", kept, "waiting-children", job.id, previous)
end

local function isList(name)
  return string.find(name, ":wait$") or string.find(name, ":paused$")
end

local function remove(name, id)
  if isList(name) then
    return refusal("LREM", name, 1, id)
  end
  return refusal("ZREM", name, id)
end

-- The error if Redis refuses removals from a list or a sorted set, see `refusedRemoval`.
local function refusedToLeave(name)
  local function isThere(member)
    if isList(name) then return holds(name, member) end
    local _, score = refusal("ZSCORE", name, member)
    return score
  end
  return refusedRemoval(isThere, function(member) return remove(name, member) end)
end

-- Adds to one key and removes from the other; the first is undone if the second is refused.
local function move(job, into, out)
  -- If removing is forbidden, do not add either: undoing it may be forbidden too.
  local refused = refusedToLeave(job.base .. out)
    or refusal("ZADD", job.base .. into, milliseconds(), job.id)
  if refused then return refused end
  refused = remove(job.base .. out, job.id)
  if refused then redis.pcall("ZREM", job.base .. into, job.id) end
  return refused
end

-- A parent all of whose children are done runs at once, as a job without children does.
local function release(parent)
  if parent.seen == "doomed" then
    clear(parent.name, cleared)
    return 1, parent.list
  end
  local state, score = parent.seen, parent.score
  if state == "waiting-children" then
    -- No child is left that could ever release it.
    local refused = move(parent, "failed", state)
    if refused then return 0, refused end
    state, score = "failed", redis.call("ZSCORE", parent.base .. "failed", parent.id)
  end
  local jobs = { { id = parent.id, score = score } }
  return "release", { base = parent.base, state = state, jobs = jobs }
end

local function park(parent)
  local refused = giveBackChildren(parent)
  if refused then return 0, refused end
  if redis.call("SCARD", parent.name .. ":dependencies") == 0 then
    if parent.more then return 1, parent.seen end
    return release(parent)
  end
  if parent.seen ~= "waiting-children" then
    refused = move(parent, "waiting-children", parent.list or parent.seen)
    if refused then return 0, refused end
    announceParked(parent, parent.list or parent.seen)
  elseif stamps then
    refused = refusal("ZADD", parent.base .. "waiting-children", milliseconds(), parent.id)
    if refused then return 0, refused end
  end
  clear(parent.name, cleared)
  return 1, "waiting-children"
end

-- The error if retry.lua refuses one of the queues; nothing is written.
local function refusedQueue(parents, batches)
  local asked = {}
  for _, some in ipairs({ parents, batches }) do
    for _, one in ipairs(some) do
      if not asked[one.base] then
        asked[one.base] = true
        local reply = retry(keysOf(one.base), { one.base, "failed", "", "", "" })
        if reply.err then return reply end
      end
    end
  end
  return nil
end

-- Codes and details of the jobs, from retry.lua.
local function retryAll(batch)
  local keys = keysOf(batch.base)
  local arguments = { batch.base, batch.state, RESET_MADE, RESET_STARTED, "" }
  for _, job in ipairs(batch.jobs) do
    arguments[#arguments + 1] = job.id
    arguments[#arguments + 1] = job.score
  end
  -- It raises only errors of reads; parents may be parked by then, which the reply must report.
  local ok, reply = pcall(retry, keys, arguments)
  if not ok or reply.err then
    local refused = {}
    local why = type(reply) == "table" and reply.err or tostring(reply)
    for place = 1, #batch.jobs do refused[place] = { 0, why } end
    return refused
  end
  if note == "" then note = reply[1] end
  local results = {}
  for place = 1, #batch.jobs do results[place] = { reply[2 * place], reply[2 * place + 1] } end
  return results
end

-- The call -------------------------------------------------------------------------------------

local parents, batches, results = {}, {}, {}
for place = 1, tonumber(nextArgument()) do parents[place] = readParent() end
for place = 1, tonumber(nextArgument()) do batches[place] = readBatch() end
local foreign = refusedQueue(parents, batches)
if foreign then return foreign end

local function add(code, detail) results[#results + 1] = { code, detail } end

local fine = true
for _, parent in ipairs(parents) do
  local code, detail = look(parent)
  fine = fine and code == 1
  add(code, detail)
end
for _, batch in ipairs(batches) do
  for _, job in ipairs(batch.jobs) do
    local code, detail = lookAtJob(batch, job)
    fine = fine and code == 1
    add(code, detail)
  end
end

if fine then
  results = {}
  local refused = false
  local released = {}
  for _, parent in ipairs(parents) do
    if refused then
      add(0, "left alone after a refusal")
    else
      local code, detail = park(parent)
      if code == "release" then
        released[#released + 1] = { place = #results + 1, batch = detail }
        code, detail = 0, ""
      elseif code == 0 then
        refused = true
      end
      add(code, detail)
    end
  end
  for _, batch in ipairs(batches) do
    local done = not refused and retryAll(batch)
    for place = 1, #batch.jobs do
      local one = done and done[place] or { 0, "left alone after a refusal" }
      add(one[1], one[2])
    end
  end
  for _, one in ipairs(released) do results[one.place] = retryAll(one.batch)[1] end
else
  -- The codes name the jobs that have changed; the others were not touched.
  for _, result in ipairs(results) do
    if result[1] == 1 then result[1], result[2] = 0, "another job of the flow has changed" end
  end
end

local reply = { note }
for _, result in ipairs(results) do
  reply[#reply + 1] = result[1]
  reply[#reply + 1] = result[2]
end
return reply
