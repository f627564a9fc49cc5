--[[
  Reruns jobs of a flow in one step: parks ancestors in `waiting-children`, gives them back the
  children that will run again, and last releases the jobs that run first.

  No release of BullMQ can do this. It moves a parent out of `waiting-children`, and only from there,
  when the last child leaves `dependencies` (moveToFinished, 1.16.0 to 6.7.0); a parent that runs with
  children in `dependencies` or `unsuccessful` can't complete (-4, -9). So a parent is parked before
  any child below it can finish, which here is the same moment.

  Everything is looked at before anything is written: when a job does not stand where it was seen,
  nothing happens. A write that Redis refuses ends the call; what was written until then is a flow
  that waits, and the same rerun goes on from there.

  The whole of retry.lua is in front of this text as the function `retry(KEYS, ARGV)`, so a job that
  is released here is retried by that script and no other. Both share the parts named below.

  KEYS   keys of the queues that are touched, so that a cluster knows the slot
  ARGV   1 "failure", "start", or "resume" for a start that was cut off   2 "1" to delete the counter of attempts made   3 of those started
         4 the number of parents, ancestors first, and for each of them
           base key and colon, id, where it was seen (failed, completed, waiting-children, doomed: in
           wait, paused or prioritized, with a deferred failure), its score, "1" if more of its
           children come in a later call, the number of children, and for each of these
           full key, base key and colon, id, and the score at which it was seen finished, or "", or
           "gone" for one whose hash is gone and for which the parent is to wait no more
         then the number of batches of jobs to be released, and for each of them
           base key and colon, failed or completed, the number of jobs, and for each
           id and score
  Reply  an error that starts with QTUIREFUSED, as retry.lua has it, if one of the queues is refused;
         else a note (see retry.lua), then for each parent and each job, in this order, a code and a detail:
           1 and where it is now     0 and why: nothing was done with it
          -1 and "": no such job    -3 and "": not where it was seen

  mode failure: a child that has completed though its parent does not have its result (BullMQ 5.42.0
  to 5.58.1 leave it in `unsuccessful`) has it recorded, and does not run again.
  mode start: a child that is given back loses `finishedOn`. So one that stands finished in
  `dependencies`, without it, is known to be still to be released if a long rerun is cut off. And a
  parent that waits already gets a new score in `waiting-children`: what finished before that has
  not run in this rerun. A rerun that is resumed keeps these scores.
]]
-- part: calls
-- part: clock
-- part: keys
-- part: removal
-- part: events
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

-- Looking --------------------------------------------------------------------------------------

local function stands(base, state, id, score)
  local refused, now = refusal("ZSCORE", base .. state, id)
  if refused then return false, refused end
  return now and (score == "" or tonumber(now) == tonumber(score)) or false
end

-- Whether a list holds a job; Redis below 6.0.6 has no LPOS, and what is no list holds none.
local function holds(key, id)
  local place = redis.pcall("LPOS", key, id)
  if type(place) ~= "table" then return place and true end
  if typeOf(key) ~= "list" then return false end
  for start = 0, redis.call("LLEN", key) - 1, 1000 do
    for _, member in ipairs(redis.call("LRANGE", key, start, start + 999)) do
      if member == id then return true end
    end
  end
  return false
end

-- The key in which a job waits that is only to be failed: nil if it does so no more.
local function findDoomed(job)
  if redis.call("HEXISTS", job.name, "defa") == 0 then return nil end
  if redis.call("ZSCORE", job.base .. "prioritized", job.id) then return "prioritized" end
  for _, list in ipairs({ "wait", "paused" }) do
    if holds(job.base .. list, job.id) then return list end
  end
  return nil
end

-- What is to be done with a child, told by where it is: "back", "record", "drop" or nil for nothing;
-- and whether it is no longer what the plan was made for.
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
  if finished and (child.score == "" or tonumber(finished) ~= tonumber(child.score)) then
    return nil, "the child " .. child.name .. " has finished meanwhile"
  end
  return "back"
end

-- Whether the parent knows the child. A key of a wrong type ends the call here, before any write.
local function standsIn(parent, child)
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
    -- Where it should be: parked by an earlier call with more of its children, or never left.
    parent.seen, parent.score = "waiting-children", ""
  elseif parent.seen == "doomed" then
    parent.list = findDoomed(parent)
    if not parent.list then return -3, "" end
  elseif not stands(parent.base, parent.seen, parent.id, parent.score) then
    return -3, ""
  end
  for _, child in ipairs(parent.children) do
    local changed
    child.action, changed = judge(child)
    if changed then return -3, changed end
    -- One that its parent has struck off (rdof, removeChildDependency) stays so.
    if not standsIn(parent, child) then child.action = nil end
  end
  redis.call("SCARD", parent.name .. ":dependencies")
  return 1, ""
end

local function lookAtJob(batch, job)
  local refused, exists = refusal("EXISTS", batch.base .. job.id)
  if refused then return 0, refused end
  if exists == 0 then return -1, "" end
  if not stands(batch.base, batch.state, job.id, job.score) then return -3, "" end
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

local cleared = fieldsToClear({ "failedReason", "returnvalue" }, RESET_MADE == "1", RESET_STARTED == "1")

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

-- What Redis says to a removal from a list or a sorted set, see `refusedRemoval`.
local function refusedToLeave(name)
  local function isThere(member)
    if isList(name) then return holds(name, member) end
    local _, score = refusal("ZSCORE", name, member)
    return score
  end
  return refusedRemoval(isThere, function(member) return remove(name, member) end)
end

-- Into one key and out of the other; the first is taken back when the second is refused.
local function move(job, into, out)
  -- Who may not remove should not add either: taking it back may be forbidden too.
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
    attempt("HDEL", parent.name, "defa")
    return 1, parent.list
  end
  local state, score = parent.seen, parent.score
  if state == "waiting-children" then
    -- Nothing would ever release it: no child is left that could.
    local refused = move(parent, "failed", state)
    if refused then return 0, refused end
    state, score = "failed", redis.call("ZSCORE", parent.base .. "failed", parent.id)
  end
  return "release", { base = parent.base, state = state, jobs = { { id = parent.id, score = score } } }
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

-- Whether retry.lua would refuse one of the queues: its error, with nothing written.
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
  -- It raises nothing but what a read raises; parents may be parked by then, and that is to be told.
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
  -- The codes tell what has changed; of the others nothing was touched.
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
