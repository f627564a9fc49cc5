-- Moves jobs of a sorted set to where they run again. A job is pushed first, and leaves its set
-- after that: if the push is refused nothing has happened, if the removal is refused the push is
-- undone.
-- part: calls
-- part: clock
-- part: destination
-- part: removal
-- part: scores
-- part: turns
-- part: resume

local function runsBefore(one, other)
  if one.priority ~= other.priority then return one.priority < other.priority end
  return one.place < other.place
end

-- The jobs in the order of the request, grouped by the command that moves them. One that takes a
-- turn in its list (`takesTurn`, 1.x to 3.x) is moved alone.
local function partByMove(queue, jobs)
  local moves, alike = {}, { ZADD = {}, LPUSH = {}, RPUSH = {} }
  for _, job in ipairs(jobs) do
    job.target = job.waits and "waiting-children" or destination(queue, job)
    if job.target == "paused" then queue.inPaused = queue.inPaused + 1 end
    local set = job.waits or job.target == "prioritized"
    local turns = job.takesTurn and not set
    local command = set and "ZADD" or (job.lifo or turns) and "RPUSH" or "LPUSH"
    local byTarget = alike[command]
    local move = not turns and byTarget[job.target]
    if not move then
      move = { command = command, target = job.target, jobs = {}, priority = job.priority }
      move.turns = turns
      if not turns then byTarget[job.target] = move end
      moves[#moves + 1] = move
    end
    move.jobs[#move.jobs + 1] = job
    move.mixed = move.mixed or job.priority ~= move.priority
  end
  for _, move in ipairs(moves) do
    -- If `prioritized` may not be read, jobs with a priority at least wait in its order.
    if move.mixed and move.command == "LPUSH" then table.sort(move.jobs, runsBefore) end
  end
  return moves
end

-- A score in `prioritized` before all others, for a job that is lifo and has no priority.
local function beforeAll(key)
  local first = redis.pcall("ZRANGE", key.prioritized, 0, 0, "WITHSCORES")
  return first.err and 0 or math.min(0, math.ceil(tonumber(first[2]) or 1) - 1)
end

local function push(key, move)
  local arguments = {}
  if move.target == "waiting-children" then
    local now = milliseconds()
    for _, job in ipairs(move.jobs) do
      arguments[#arguments + 1] = now
      arguments[#arguments + 1] = job.id
    end
  elseif move.command == "ZADD" then
    local last = redis.pcall("INCRBY", key.pc, #move.jobs)
    if type(last) == "table" then return last.err end
    local front = beforeAll(key)
    for index, job in ipairs(move.jobs) do
      local score = job.priority * COUNTER_RANGE + (last - #move.jobs + index) % COUNTER_RANGE
      if job.priority == 0 and job.lifo then score, front = front, front - 1 end
      arguments[#arguments + 1] = string.format("%.0f", score)
      arguments[#arguments + 1] = job.id
    end
  else
    for index, job in ipairs(move.jobs) do arguments[index] = job.id end
  end
  return refusal(move.command, key[move.target], unpack(arguments))
end

local function takeBack(key, move)
  for _, job in ipairs(move.jobs) do
    if move.command == "ZADD" then
      redis.pcall("ZREM", key[move.target], job.id)
    else
      redis.pcall("LREM", key[move.target], move.command == "LPUSH" and 1 or -1, job.id)
    end
  end
end

-- Keeps jobs in `wait` from a resume if a move makes the list `paused`.
local function keepWaiting(key, queue, moves)
  local makesPaused = false
  for _, move in ipairs(moves) do makesPaused = makesPaused or move.target == "paused" end
  if not makesPaused then return nil end
  local inWait = queue.jobsInWait and not queue.pausedList
  local refused = keepFromResume(key, queue)
  for _, move in ipairs(moves) do
    if inWait and not refused and move.target == "wait" then move.target = "paused" end
  end
  return refused
end

local function carryOut(key, from, move)
  local refused = push(key, move)
  if refused then return refused end
  local ids = {}
  for index, job in ipairs(move.jobs) do ids[index] = job.id end
  refused = refusal("ZREM", from, unpack(ids))
  if refused then
    takeBack(key, move)
    return refused
  end
  if move.turns then
    noted("LINSERT", { err = takeTurn(key, key[move.target], move.priority, ids[1]) })
  end
  return nil
end

-- Moves jobs out of the sorted set `from`, and enters the code and the detail of each at its place.
-- Returns those that were moved, in the order of the request, and whom to wake for them.
local function moveJobs(key, queue, from, jobs, codes, details)
  local moved, targets = {}, {}
  local moves = partByMove(queue, jobs)
  local function scoreOf(id) return scoresOf(from, { id })[1] end
  local function leave(id) return refusal("ZREM", from, id) end
  -- If removing is forbidden, do not push either: undoing the push may be forbidden too.
  local forbidden = refusedRemoval(scoreOf, leave) or keepWaiting(key, queue, moves)
  for _, move in ipairs(moves) do
    local refused = forbidden or carryOut(key, from, move)
    for _, job in ipairs(move.jobs) do
      codes[job.place] = refused and 0 or 1
      details[job.place] = refused or move.target
      if not refused then moved[#moved + 1] = job end
      if not refused and not job.waits then
        local modern = job.modern or queue.modern
        targets.marker = targets.marker or modern or (queue.major or 0) >= 5
        targets.four = targets.four or (not modern and job.target == "prioritized")
      end
    end
  end
  if #moves > 1 or (moves[1] and moves[1].mixed) then
    table.sort(moved, function(one, other) return one.place < other.place end)
  end
  return moved, targets
end
