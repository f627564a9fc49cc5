--[[
  Takes retries back: jobs that still wait where a retry put them return to the finish from which
  they were retried, with all that the retry cleared. And takes reruns back: parents that waited
  before, for children or only to be failed, return to where they waited.

  No release of BullMQ can do this. A job is left alone once it has started, was changed or was
  moved: what the retry cleared must still be absent, what it kept must still be the
  same, and the job must still wait in the place it was put (`wait` and `paused` count as one, since
  a pause or a resume of 1.x to 5.x renames one to the other).

  Nothing can be lost half-way. The cleared fields are written first, then the job is added to its
  state, then it is removed from where it waits; if one is refused, the steps before it are undone,
  and all of it is in one script.

  KEYS   the queue's keys, in the order of SUFFIXES (qtui.bullmq.keys.SCRIPT_KEYS)
  ARGV   1 base key and a colon   2 the state's key to which the jobs return: failed or completed;
         for parents that a rerun found waiting also waiting-children, wait, paused or prioritized
         3 number of fields that the retry cleared, then their names
         then the number of fields that it kept, and their names; `#name` compares the length in
         bytes
         then for each job:
           id, score in the state (in a list the id of the job that was to run before it, or ""),
           the key where the retry put it (wait, paused, prioritized, waiting-children; "": not
           known), "1" if it was put at the end that runs next (lifo)
           a value for each of the cleared fields, and for each of the kept ones: `=` and the value,
           or "" for an absent one
           the parent's key, the parent's queue (base key and colon) and id, or three times ""
           "1" if a failure of the job fails its parent
           how the parent knew of the job's finish, each `=` and the value, or "":
           the value in its `processed`, the score in its `unsuccessful`, the reason in its `failed`
           the number of its children that a rerun put right and did not run again, and for each its
           full key, "1" if it was under way, "1" if it was in `dependencies`, and as above how the
           job knew of its finish
  Reply  first a note: empty, or the first error of an effect after the move (parent, event); then
         for each job a code and a detail:
           1 and the key in which it is   0 and the error: refused, the job is where it was
          -1 and "": no such job  -3 and why: started, changed, moved, or
                                   parent: its parent would wait for a child that never comes, or
                                   run and fail
         last the microseconds that all of it took, 0 if the server can't measure them
         An error reply that starts with QTUIREFUSED, as in retry.lua.

  The event is `undone`, which no release of BullMQ emits or listens for. `failed` or `completed`
  would report an end that never was to every follower: alarms and what is built on a completed job
  would go off again.

  Supports what retry.lua does: BullMQ 1.0.0 to 6.7.0.
]]
-- part: calls
-- part: clock
-- part: keys
-- part: evidence
-- part: destination
-- part: removal
-- part: lists
-- part: returning
-- part: events
-- part: waking
local base, state = ARGV[1], ARGV[2]
local at = 2

local function nextArgument()
  at = at + 1
  return ARGV[at]
end

local function nextArguments(many)
  local found = {}
  for place = 1, many do found[place] = nextArgument() end
  return found
end

local key = bySuffix(KEYS)
local began = clock()

local queue = readQueue(key, base)
local foreign = refuseForeign(key, base, queue)
if foreign then return redis.error_reply(foreign) end

local cleared = nextArguments(tonumber(nextArgument()))
local kept = nextArguments(tonumber(nextArgument()))

-- The value in an argument; nil for an absent one.
local function valueOf(argument)
  return argument ~= "" and string.sub(argument, 2) or nil
end

local function readChild()
  local child = { name = nextArgument(), runs = nextArgument() == "1" }
  child.pending = nextArgument() == "1"
  child.processed, child.unsuccessful = valueOf(nextArgument()), valueOf(nextArgument())
  child.ignored = valueOf(nextArgument())
  return child
end

local function readJob()
  local job = { id = nextArgument() }
  job.score = nextArgument()
  job.before, job.place = job.score, nextArgument()
  job.lifo = nextArgument() == "1"
  job.name = base .. job.id
  job.cleared = nextArguments(#cleared)
  job.kept = nextArguments(#kept)
  job.parent, job.parentBase, job.parentId = nextArgument(), nextArgument(), nextArgument()
  job.failsParent = nextArgument() == "1"
  job.processed = valueOf(nextArgument())
  job.unsuccessful = valueOf(nextArgument())
  job.ignored = valueOf(nextArgument())
  job.children = {}
  for place = 1, tonumber(nextArgument()) do job.children[place] = readChild() end
  return job
end

-- The fields read of each job: those cleared, then those kept that are compared as they are; the
-- place of each of the latter in `kept`, and the places of those compared by their length.
local names, compared, lengths = { unpack(cleared) }, {}, {}
for place, name in ipairs(kept) do
  if string.sub(name, 1, 1) == "#" then
    lengths[#lengths + 1] = place
  else
    names[#names + 1] = name
    compared[#compared + 1] = place
  end
end

local COUNTERS = { atm = true, ats = true, attemptsMade = true, ["#stacktrace"] = true }

-- Why the job is not as the retry left it: a code and a detail; nil if it is.
local function changed(job)
  local now = redis.pcall("HMGET", job.name, unpack(names))
  if now.err then return 0, now.err end
  for place = 1, #cleared do
    -- One that is as it was before the retry was not cleared, as Redis refused that; or the job is
    -- back already.
    if now[place] and now[place] ~= valueOf(job.cleared[place]) then return -3, "started" end
    job.holdsEnd = job.holdsEnd or now[place]
  end
  local different, any = nil, false
  for index, place in ipairs(compared) do
    local value = now[#cleared + index] or nil
    any = any or value
    if value ~= valueOf(job.kept[place]) then different = different or kept[place] end
  end
  if not any and redis.call("EXISTS", job.name) == 0 then return -1, "" end
  for _, place in ipairs(lengths) do
    local length = redis.call("HSTRLEN", job.name, string.sub(kept[place], 2))
    local before = tonumber(valueOf(job.kept[place]) or 0)
    if length ~= before then different = different or kept[place] end
  end
  if not different then return nil end
  return -3, COUNTERS[different] and "started" or "changed"
end

-- Whether the parent waits for the job.
local function isPending(job)
  -- On a cluster the parent may be in another slot: then the retry did not change it either.
  return job.parent ~= ""
    and redis.pcall("SISMEMBER", job.parent .. ":dependencies", job.name) == 1
end

-- Whether the parent knew of the job's finish.
local function wasKnown(job)
  return (job.processed or job.unsuccessful or job.ignored) and true or false
end

-- Whether the parent, which waits for children, would wait for ever: with no other child left, or,
-- before 5.42.0, for a child that failed. It was not there when that child failed: since it failed
-- with it, it was retried or rerun since. Since 5.42.0 it would run, and could not complete (-9).
local function strandsParent(job)
  local failsIt = job.unsuccessful and state == "failed"
  if wasKnown(job) and not failsIt then
    if redis.pcall("SCARD", job.parent .. ":dependencies") ~= 1 then return false end
  elseif not failsIt and not (job.failsParent and state == "failed") then
    return false
  end
  local waits = redis.pcall("ZSCORE", job.parentBase .. "waiting-children", job.parentId)
  return waits and not (type(waits) == "table" and waits.err)
end

local function putBackInParent(job)
  if job.processed then attempt("HSET", job.parent .. ":processed", job.name, job.processed) end
  if job.unsuccessful then
    attempt("ZADD", job.parent .. ":unsuccessful", job.unsuccessful, job.name)
  end
  if job.ignored then attempt("HSET", job.parent .. ":failed", job.name, job.ignored) end
  attempt("SREM", job.parent .. ":dependencies", job.name)
end

-- Makes the keys of a parent hold what they held about a child that did not run again, unless that
-- one has ended since.
local function putChildBack(parent, child)
  local dependencies = parent .. ":dependencies"
  if child.runs and attempt("SISMEMBER", dependencies, child.name) ~= 1 then return end
  attempt(child.pending and "SADD" or "SREM", dependencies, child.name)
  local held = { processed = child.processed or false, failed = child.ignored or false }
  for key, value in pairs(held) do
    if value then
      attempt("HSET", parent .. ":" .. key, child.name, value)
    else
      attempt("HDEL", parent .. ":" .. key, child.name)
    end
  end
  if child.unsuccessful then
    attempt("ZADD", parent .. ":unsuccessful", child.unsuccessful, child.name)
  else
    attempt("ZREM", parent .. ":unsuccessful", child.name)
  end
end

local LISTS = { wait = true, paused = true }

-- Where a job may wait that was put into one of them.
local PLACES = {
  wait = { "wait", "paused" }, paused = { "paused", "wait" },
  prioritized = { "prioritized" }, ["waiting-children"] = { "waiting-children" },
  [""] = { "prioritized", "waiting-children", "wait", "paused" },
}

-- Whether the rerun may have left the job in the state in which it found it.
local function keepsState(job)
  if job.place == "" then return state == "waiting-children" end
  for _, place in ipairs(PLACES[job.place]) do
    if place == state then return true end
  end
  return false
end

-- An error, or whether the job is in the state to which it returns.
local function isBack(job)
  if LISTS[state] then return nil, holds(key.wait, job.id) or holds(key.paused, job.id) end
  local refused, score = refusal("ZSCORE", key[state], job.id)
  return refused, score and true
end

-- Adds the job to its state: an error, and the key.
local function enter(job)
  if not LISTS[state] then return refusal("ZADD", key[state], job.score, job.id), state end
  -- Only releases since 5.49.2 have jobs that wait to be failed.
  local list, before, byAge = listToReturnTo(key, queue, state, job.before, true)
  return returnTo(key, queue, list, job.id, before, byAge), list
end

-- Removes the job from where it waits: an error, and the place if it was there.
local function leave(job)
  for _, place in ipairs(PLACES[job.place]) do
    local kind, refused, removed = typeOf(key[place]), nil, 0
    local entered = place == state or (LISTS[place] and LISTS[state]) -- just now
    if entered then kind = "none" end
    if kind == "list" then
      refused, removed = refusal("LREM", key[place], job.lifo and -1 or 1, job.id)
    elseif kind == "zset" then
      refused, removed = refusal("ZREM", key[place], job.id)
    end
    if refused or removed == 1 then return refused, place end
  end
  return nil, nil
end

local function fieldsOf(job)
  local fields, names = {}, {}
  for place, name in ipairs(cleared) do
    local value = valueOf(job.cleared[place])
    if value then
      fields[#fields + 1], names[#names + 1] = name, name
      fields[#fields + 1] = value
    end
  end
  return fields, names
end

local function remove(from, member)
  if LISTS[from] then return refusal("LREM", key[from], -1, member) end
  return refusal("ZREM", key[from], member)
end

-- Moves the job back, or where it `stays` only gives it back its fields and its score: a code and a
-- detail.
local function moveBack(job, stays)
  local fields, names = fieldsOf(job)
  local function undo(target)
    if target and not stays then remove(target, job.id) end
    if #names > 0 and not job.holdsEnd then redis.pcall("HDEL", job.name, unpack(names)) end
  end
  if #fields > 0 then
    local refused = refusal("HSET", job.name, unpack(fields))
    if refused then return 0, refused end
  end
  local refused, target = nil, state
  if not (stays and LISTS[state]) then refused, target = enter(job) end
  if refused then
    undo(nil)
    return 0, refused
  end
  if stays then return 1, target end
  refused, job.place = leave(job)
  if refused or not job.place then
    undo(target)
    if refused then return 0, refused end
    return -3, "moved"
  end
  return 1, target
end

local function takeBack(job, forbidden)
  local refused, there = isBack(job)
  if refused then return 0, refused end
  local stays = there and keepsState(job) and not job.holdsEnd
  if there and not stays or not there and job.place == state then return -3, "moved" end
  local pending = isPending(job)
  if pending and strandsParent(job) then return -3, "parent" end
  if forbidden then return 0, forbidden end
  local code, detail = moveBack(job, stays)
  if code == 1 and pending and wasKnown(job) then putBackInParent(job) end
  for _, child in ipairs(code == 1 and job.children or {}) do putChildBack(job.name, child) end
  return code, detail
end

local NO_FIELD = "qtui" -- of no job: its removal changes nothing

-- The error if Redis refuses what would undo a move that is refused half-way.
local function refusedUndo(job)
  local function isThere(member)
    if LISTS[state] then return holds(key[state], member) end
    local _, score = refusal("ZSCORE", key[state], member)
    return score
  end
  local function leaveAgain(member) return remove(state, member) end
  return refusedRemoval(isThere, leaveAgain) or refusal("HDEL", job.name, NO_FIELD)
end

local results, forbidden, asked, woken = {}, nil, false, false
while at < #ARGV do
  local job = readJob()
  local code, detail = changed(job)
  if not code then
    if not asked then
      asked, forbidden = true, refusedUndo(job)
    end
    code, detail = takeBack(job, forbidden)
  end
  results[#results + 1] = code
  results[#results + 1] = detail
  if code == 1 then
    noted("XADD", redis.pcall("XADD", key.events, "MAXLEN", "~", queue.maxEvents, "*",
      "event", "undone", "jobId", job.id, "prev", job.place, "state", detail))
    woken = woken or LISTS[detail] or detail == "prioritized"
  end
end
if woken then wakeWorkers(key, queue, { marker = true }) end
local reply = { note }
for place = 1, #results do reply[#reply + 1] = results[place] end
reply[#reply + 1] = clock() - began
return reply
