-- Puts a job back into the list where it waited, for an undo.
-- part: calls
-- part: destination
-- part: lists
-- part: resume
-- part: turns

-- The list for a job that waited in `list` while `before` was to run before it ("": it was the next
-- to run itself): the one in which that job is now, since a pause or a resume may have moved both;
-- that job; and true if the job comes into line by age, as it was in another line. Where the other is
-- gone, the job goes where a waiting job belongs now, which no resume loses; but in a queue that
-- `wasPaused` then, and is now, it is in no more danger than before.
local function listToReturnTo(key, queue, list, before, modern, wasPaused)
  for _, name in ipairs({ list, list == "wait" and "paused" or "wait" }) do
    if before ~= "" and holds(key[name], before) then return name, before end
  end
  if not queue.paused then return "wait" end
  if wasPaused and (list == "paused" or not queue.pausedList) then return list end
  -- Before 6 a resume renames the list `paused` over `wait`: it may have come since.
  if wasPaused and queue.inPaused < ONE_RESUME then return "paused", nil, true end
  -- Nothing else waits in `wait`, so that no resume loses it by a list `paused`.
  if list == "paused" and (queue.pausedList or not queue.jobsInWait) then return "paused" end
  -- No more than those beside it.
  if list == "wait" and queue.jobsInWait and not queue.pausedList then return "wait" end
  return destination(queue, { id = "", priority = 0, modern = modern })
end

-- Whether a job was added after the one that is the next to run in a list.
local function isYoungerThanTail(key, list, id)
  local base = string.sub(key.wait, 1, -#"wait" - 1)
  local next = redis.pcall("HGET", base .. redis.call("LINDEX", key[list], -1), "timestamp")
  local added = redis.pcall("HGET", base .. id, "timestamp")
  next = type(next) == "string" and tonumber(next)
  added = type(added) == "string" and tonumber(added)
  return next and added and added > next
end

-- Adds a job where `listToReturnTo` says: an error, or nil.
local function returnTo(key, queue, list, id, before, byAge)
  if list == "prioritized" then
    local turn, stopped = prioritizedScore(key, 0)
    return stopped or refusal("ZADD", key.prioritized, turn, id)
  end
  local isNew = list == "paused" and not queue.pausedList
  local stopped = isNew and keepFromResume(key, queue)
  if stopped then return stopped end
  -- The list is new, and those come into it that waited in the other: in line by age, as a resume of
  -- ours puts them.
  byAge = byAge or isNew and queue.jobsInWait
  if byAge and isYoungerThanTail(key, list, id) then
    return refusal("LPUSH", key[list], id)
  end
  if before then return refusal("LINSERT", key[list], "BEFORE", before, id) end
  return refusal("RPUSH", key[list], id)
end
