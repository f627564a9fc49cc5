--[[
  Removes jobs of one state, or such as are in none, and with them jobs below them in their flows,
  if they are named.

  Does for each job what BullMQ's Job.remove does (script removeJob, 1.18.0 to 6.7.0): takes it from
  its state, from what its parent waits for, and from the deduplication that it holds, deletes its
  keys, and emits `removed`. A parent that waits for no other child runs next; it is never deleted,
  as BullMQ's clean and drain do in the same queue. Differs where single releases are wrong: the
  current iteration of a scheduler stays in all of them (before 5.16.0 its removal ended the
  repetition), a parent keeps its priority and, in a paused queue, goes where no resume loses it, a
  parent that is removed too is not made to run first, and a deduplication key of another job stays.

  Nothing can be lost half-way: all is read first, the removal from each key is tried with a member
  that is not there, and what a parent was relieved of is given back if it can't run.

  KEYS   the queue's keys, in the order of SUFFIXES; then, for a cluster, keys of other queues
  ARGV   1 base key and a colon   2 suffix of the state's key: failed, wait, …; "" for jobs with a
         hash that no state holds (in a long list only the ends are looked at)   3 number of jobs
         4 in a list how many members were between its tail and each of the jobs when it was read,
           separated by blanks; may be shorter, or empty
         then for each job its id, and its pin ("" for any): its score in a sorted set, or in a list
         or in no state its stamp (lua/parts/pins.lua)
         then for each job below one of them: the position of that job, base key and colon, suffix
         of the state's key, id and pin. A job and those below it go together or not at all; one
         below that is gone stops nothing.
  Reply  first a note: empty, or the first error of an effect after the removal; then for each job,
         and each below, a code and a detail:
           1 and "removed", "cleared" for an id that had no hash, or "released" and a blank and
             the full key of the parent that runs now
           0 and why: locked, or refused by Redis; the job is where it was
          -1 and "": no such job, and not in the state, or one below that went with another job
          -3 and "": not in the state, or another
          -8 and the scheduler whose current iteration it is
         last the microseconds that all of it took, without the pass through a long list, which
           takes as long for one job as for many; 0 if the server can't measure them
         An error reply that starts with QTUIREFUSED: see retry.lua. Nothing was written.
]]
-- part: calls
-- part: clock
-- part: keys
-- part: evidence
-- part: neighbours
-- part: pins
-- part: removal
-- part: scores
-- part: events
-- part: jobkeys
-- part: lastchild
-- part: iteration
local base, state, number = ARGV[1], ARGV[2], tonumber(ARGV[3])
local seenAt = {}
for place in string.gmatch(ARGV[4], "%d+") do seenAt[#seenAt + 1] = tonumber(place) end
local FIRST_JOB, ARGUMENTS_BELOW = 5, 5

local key = bySuffix(KEYS)
local began = clock()

local LISTS = { wait = true, paused = true, active = true }
local SETS = { "completed", "failed", "delayed", "prioritized", "waiting-children" }
local KEYS_AT_ONCE = 1000 -- in one DEL
local AT_ENDS = 4000 -- members at each end of a list, where a job may have come to meanwhile
local LOCKED = "a worker holds its lock"

local queue = readQueue(key, base)
local foreign = refuseForeign(key, base, queue)
if foreign then return redis.error_reply(foreign) end

-- Reading --------------------------------------------------------------------------------------

local FIELDS = { "timestamp", "gid", "parentKey", "deid", "rjk" }
local STAMPED = { "timestamp", "gid", "parentKey", "deid", "rjk", "processedOn", "ats", "atm",
  "attemptsMade" }

-- Reads a job's hash into the table: a code and a detail if it can't be a job.
local function readHash(job)
  local hasStamp = LISTS[job.state] or job.state == ""
  local fields = redis.pcall("HMGET", job.name, unpack(hasStamp and STAMPED or FIELDS))
  if fields.err then return 0, fields.err end
  job.fields = fields
  job.exists = fields[1] and true or redis.call("EXISTS", job.name) == 1
  if not fields[1] and job.exists and isNameOfOtherKey(job.id) then
    return 0, job.name .. " is not a job"
  end
  if hasStamp then
    job.stamp = stampOf(fields[1], fields[6], fields[7], fields[8], fields[9])
  end
  return nil
end

-- Whether a job is what it was when it was picked, by its score or stamp; one in a list
-- whose hash is gone has neither, and counts as picked.
local function isPicked(job, pin)
  if LISTS[job.state] and not job.exists and job.pin ~= "nan" then return true end
  return job.pin == "" or isPinned(pin, job.pin)
end

-- A code and a detail if the job stays, given its place in the state, false if it is not there, and
-- whether it is known to have nothing beside its hash.
local function judge(job, place, isBare)
  local fields = job.fields
  -- A wake-up in a list is no job.
  if not job.exists and LISTS[job.state] and isMarker(job.id) then return -1, "" end
  if not place then return job.exists and -3 or -1, "" end
  -- In a list only those that are as they were picked have been sought (placesIn).
  if not LISTS[job.state] and not isPicked(job, job.stamp or place) then return -3, "" end
  if fields[2] then return 0, "the job belongs to a BullMQ Pro group" end
  job.beside = NOTHING
  if not isBare then
    local beside, refused, locked = keysBeside(job.name)
    if not beside then return 0, refused end
    if locked then return 0, LOCKED end
    job.beside = beside
  end
  local scheduler = schedulerOf(job.base, job.id, fields[5])
  if scheduler then return -8, scheduler end
  if fields[3] and fields[3] ~= "" then
    local parentBase, parentId = splitParent(fields[3], redis.call("HGET", job.name, "parent"))
    job.parent = { name = fields[3], base = parentBase, id = parentId }
  end
  job.deduplication = fields[4]
  return nil
end

-- All jobs, by the key of their state, so that the places in it are read at once.
local function partByState(jobs, codes, details)
  local groups, byKey, seen = {}, {}, {}
  for _, job in ipairs(jobs) do
    local name = job.base .. job.state
    local first = seen[job.name]
    if first and job.place > number then
      job.first, first.roots = first, first.roots or { first.root }
      first.roots[#first.roots + 1] = job.root
    elseif first then
      codes[job.place], details[job.place] = -3, ""
    else
      seen[job.name] = job
      local group = byKey[name]
      if not group then
        group = { base = job.base, state = job.state, key = name, isList = LISTS[job.state],
          jobs = {} }
        byKey[name] = group
        groups[#groups + 1] = group
      end
      group.jobs[#group.jobs + 1] = job
    end
  end
  return groups
end

-- Whether a state holds a job that was read as being in none.
local function isSomewhere(job)
  for _, set in ipairs(SETS) do
    if type(redis.pcall("ZSCORE", job.base .. set, job.id)) == "string" then return true end
  end
  for list in pairs(LISTS) do
    for _, rank in ipairs({ 1, -1 }) do
      local place = redis.pcall("LPOS", job.base .. list, job.id, "RANK", rank, "MAXLEN", AT_ENDS)
      if type(place) == "number" then return true end
    end
  end
  return false
end

-- The stamps of a group's jobs that are in no state, by id.
local function placesNowhere(group)
  local found = {}
  for _, job in ipairs(group.jobs) do
    if job.fields and job.exists and not isSomewhere(job) then found[job.id] = job.stamp end
  end
  return found
end

-- The places of a group's jobs by id: scores, or how many are between the tail and each. In a list
-- those that have run since are not sought, as they may be anywhere.
local function placesIn(group)
  if group.state == "" then return placesNowhere(group) end
  local ids, hints = {}, {}
  for _, job in ipairs(group.jobs) do
    local sought = job.fields and (not group.isList or isPicked(job, job.stamp))
    if sought then
      ids[#ids + 1] = job.id
      hints[#ids] = job.place <= number and seenAt[job.place] or 0
    end
  end
  if group.isList then return placesOf(group.key, ids, hints) end
  local found, scores = {}, scoresOf(group.key, ids)
  for index, id in ipairs(ids) do found[id] = scores[index] end
  return found
end

local function readAll(jobs, codes, details)
  local groups = partByState(jobs, codes, details)
  for _, group in ipairs(groups) do
    for _, job in ipairs(group.jobs) do
      codes[job.place], details[job.place] = readHash(job)
    end
    group.places = placesIn(group)
    local names = {}
    for _, job in ipairs(group.jobs) do
      if group.places[job.id] then names[#names + 1] = job.name end
    end
    local bare = withoutKeysBeside(names)
    for _, job in ipairs(group.jobs) do
      if not codes[job.place] then
        codes[job.place], details[job.place] =
          judge(job, group.places[job.id], bare[job.name])
      end
    end
  end
  return groups
end

-- The error if Redis refuses to take jobs from a key, or to delete any.
local function refusedAt(group)
  local refused = refusedRemoval(
    function(member) return redis.call("EXISTS", base .. member) == 1 end,
    function(member) return refusal("DEL", base .. member) end)
  if refused or group.state == "" then return refused end
  -- In a list of that length the look for no member would take as long as all of the rest.
  if group.isList then return refusal("LREM", group.key .. "\0", -1, "") end
  return refusedRemoval(
    function(member) return redis.call("ZSCORE", group.key, member) end,
    function(member) return refusal("ZREM", group.key, member) end)
end

-- Writing --------------------------------------------------------------------------------------

-- Finds the jobs of a list again where a parent was released: it may have been pushed to the same
-- list, or the list renamed for it (see keepFromResume).
local function findAgain(group, going)
  local other = group.state == "wait" and group.base .. "paused" or group.key
  if redis.call("EXISTS", group.key) == 0 then group.key = other end
  local hints = {}
  for index, id in ipairs(going) do hints[index] = group.places[id] end
  group.places = placesOf(group.key, going, hints)
  for _, id in ipairs(going) do
    if not group.places[id] then return id .. " has moved" end
  end
  return nil
end

local passing = 0 -- microseconds of passes through lists

-- Takes jobs out of a list: cuts them off where they are all that is at its tail. Else in one pass:
-- each is written over by what no list holds, and all of that is removed from the nearer end.
local function takeOutOfList(group, going)
  local nearest, farthest = math.huge, 0
  for _, id in ipairs(going) do
    local place = group.places[id]
    nearest, farthest = math.min(nearest, place), math.max(farthest, place)
  end
  if farthest < #going then return refusal("LTRIM", group.key, 0, -#going - 1) end
  local nothing = "\0" .. redis.sha1hex(group.key .. began .. table.concat(going, " "))
  for index, id in ipairs(going) do
    local refused = refusal("LSET", group.key, -group.places[id] - 1, nothing)
    if refused then
      for before = 1, index - 1 do
        redis.pcall("LSET", group.key, -group.places[going[before]] - 1, going[before])
      end
      return refused
    end
  end
  local fromTail = farthest <= redis.call("LLEN", group.key) - nearest
  local start = clock()
  local refused = refusal("LREM", group.key, fromTail and -#going or #going, nothing)
  passing = passing + clock() - start
  return refused
end

local function takeOut(group, going, anyReleased)
  if group.state == "" then return nil end
  if not group.isList then return refusal("ZREM", group.key, unpack(going)) end
  local moved = anyReleased and findAgain(group, going)
  if moved then return moved end
  if not takeOutOfList(group, going) then return nil end
  for _, id in ipairs(going) do -- an ACL may forbid LSET or LTRIM
    local refused = refusal("LREM", group.key, -1, id)
    if refused then return refused end
  end
  return nil
end

local function releaseDeduplication(job)
  if not job.deduplication then return end
  local held = job.base .. "de:" .. job.deduplication
  if redis.pcall("GET", held) ~= job.id then return end
  attempt("DEL", held)
  local waiting = job.base .. "dn:" .. job.deduplication
  if typeOf(waiting) == "hash" and not isJobHash(waiting) then attempt("DEL", waiting) end
end

local hasPriorities = {}

-- BullMQ before 4.0.0 keeps the priorities of waiting jobs in a set beside the list.
local function forgetPriority(job)
  local set = job.base .. "priority"
  if hasPriorities[set] == nil then hasPriorities[set] = typeOf(set) == "zset" end
  if hasPriorities[set] then attempt("ZREM", set, job.id) end
end

-- Deletes the keys of jobs: whether Redis did.
local function deleteAll(jobs)
  local names, done = {}, true
  for _, job in ipairs(jobs) do
    if job.exists then names[#names + 1] = job.name end
    for _, one in ipairs(job.beside) do names[#names + 1] = one end
  end
  for first = 1, #names, KEYS_AT_ONCE do
    local last = math.min(first + KEYS_AT_ONCE - 1, #names)
    done = attempt("DEL", unpack(names, first, last)) and done
  end
  return done
end

local function settle(job, deleted)
  if job.released then announceReleased(job.parent) end
  releaseDeduplication(job)
  forgetPriority(job)
  if not deleted or not (job.exists or #job.beside > 0) then return end
  local kept = job.base == base and queue.maxEvents or queueAt(job.base).maxEvents
  announce(job.base .. "events", kept, "removed", job.id,
    job.state ~= "" and job.state or "unknown")
end

-- The call -------------------------------------------------------------------------------------

local jobs, codes, details = {}, {}, {}
for place = 1, number do
  local at = FIRST_JOB + 2 * (place - 1)
  jobs[place] = { place = place, root = place, base = base, state = state, id = ARGV[at],
    pin = ARGV[at + 1] }
end
for at = FIRST_JOB + 2 * number, #ARGV, ARGUMENTS_BELOW do
  local place = #jobs + 1
  jobs[place] = { place = place, root = tonumber(ARGV[at]), base = ARGV[at + 1],
    state = ARGV[at + 2], id = ARGV[at + 3], pin = ARGV[at + 4] }
end

for _, job in ipairs(jobs) do job.name = job.base .. job.id end
local groups = readAll(jobs, codes, details)
for _, group in ipairs(groups) do
  local refused = refusedAt(group)
  for _, job in ipairs(group.jobs) do
    if refused and not codes[job.place] then codes[job.place], details[job.place] = 0, refused end
  end
end

-- A job and those below it go together, or none of them. What keeps them, by the place of the job.
local kept = {}

-- What keeps those with which a job is named: the job itself, or what keeps it.
local function keeperOf(job)
  local one = job.first or job
  local code = codes[one.place]
  if code == -1 and job.place > number then return nil end
  return code and one or one.place <= number and kept[one.place] or nil
end

local function keepFamilies()
  local found
  repeat
    found = false
    for _, job in ipairs(jobs) do
      local keeper = not kept[job.root] and keeperOf(job)
      if keeper then kept[job.root], found = keeper, true end
    end
  until not found
end

local going = {}

local function keepWith(job)
  if codes[job.place] or not kept[job.root] then return end
  for _, root in ipairs(job.roots or {}) do
    if not kept[root] then return end
  end
  local why = kept[job.root]
  local detail = details[why.place] == "" and "has changed" or details[why.place]
  codes[job.place], details[job.place] = 0, why.name .. ": " .. detail
  going[job.name] = nil
end

keepFamilies()
for _, job in ipairs(jobs) do
  if not job.first then keepWith(job) end
  if not job.first and not codes[job.place] then going[job.name] = true end
end

local anyReleased = false

-- Relieves the parent that stays of a job that goes. Whether Redis refuses it.
local function leave(job)
  local refused, runs = leaveParent(job.parent, job.base, job.name)
  if refused then
    codes[job.place], details[job.place], going[job.name] = 0, refused, nil
    return true
  end
  job.hasLeft = true
  if runs then
    anyReleased, job.released = true, true
    details[job.place] = "released " .. job.parent.name
  end
  return false
end

local refusedAny
repeat -- a job that stays after all may be the parent of another
  refusedAny = false
  for _, job in ipairs(jobs) do
    if not job.first then keepWith(job) end
    if going[job.name] and not job.first then
      details[job.place] = details[job.place] or job.exists and "removed" or "cleared"
      local parent = not job.hasLeft and job.parent
      if parent and not going[parent.name] and leave(job) then
        refusedAny = true
        keepFamilies()
      end
    end
  end
until not refusedAny

for _, group in ipairs(groups) do
  local ids = {}
  for _, job in ipairs(group.jobs) do
    if not codes[job.place] then ids[#ids + 1] = job.id end
  end
  local refused = #ids > 0 and takeOut(group, ids, anyReleased)
  for _, job in ipairs(group.jobs) do
    if refused and not codes[job.place] then codes[job.place], details[job.place] = 0, refused end
  end
end

local gone = {}
for _, job in ipairs(jobs) do
  if not job.first and not codes[job.place] then
    codes[job.place] = 1
    gone[#gone + 1] = job
  end
end
for _, job in ipairs(jobs) do
  if job.first then
    local code = codes[job.first.place]
    codes[job.place] = code == 1 and -1 or code
    details[job.place] = code == 1 and "" or details[job.first.place]
  end
end
local deleted = deleteAll(gone)
for _, job in ipairs(gone) do settle(job, deleted) end
wakeReleased()

local reply = { note }
for place = 1, #jobs do
  reply[#reply + 1] = codes[place]
  reply[#reply + 1] = details[place]
end
reply[#reply + 1] = clock() - began - passing
return reply
