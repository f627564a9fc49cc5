-- Finds many jobs of one list at once. A look for a single one costs Redis some 35 ns for each other
-- on the way; members in windows cost Lua 100 ns each, for all that are sought.
-- part: keys

local WINDOW = 500 -- members in one read
local WINDOWS = 16 -- windows read before the whole list is
local FEW = 2 -- jobs that are rather sought one by one

-- How many members are between the tail of a list and each of the jobs, by id; a job that is not in
-- the list is not in the table. Takes the jobs to be near the tail, or near the place `hint`, which
-- was the first one's before others left; also calls `visit(id, place, ahead, behind)`, with
-- its neighbours towards tail and head, or nil at an end, where that is a function.
local function placesOf(list, ids, hint, visit)
  local found, wanted, left = {}, {}, 0
  if typeOf(list) ~= "list" then return found end
  for _, id in ipairs(ids) do
    if not wanted[id] then wanted[id], left = true, left + 1 end
  end
  local length = redis.call("LLEN", list)
  hint = math.min(hint, length - 1) -- it may have become shorter than that

  local function neighbour(place)
    return place >= 0 and place < length and redis.call("LINDEX", list, -place - 1) or nil
  end

  local function note(id, place, ahead, behind)
    wanted[id], left, found[id] = nil, left - 1, place
    if visit then visit(id, place, ahead or neighbour(place - 1), behind or neighbour(place + 1)) end
  end

  -- Reads the window that begins at a place; whether some were there.
  local function look(first)
    local before = left
    if left == 0 or first >= length then return false end
    local members = redis.call("LRANGE", list, -first - WINDOW, -first - 1)
    for at = #members, 1, -1 do
      if wanted[members[at]] then
        note(members[at], first + #members - at, members[at + 1], members[at - 1])
      end
    end
    return left < before
  end

  -- Reads windows from a place on, until all jobs are found, or `patience` of them held none.
  local function sweep(first, step, patience)
    local empty = 0
    for _ = 1, WINDOWS do
      if left == 0 or empty == patience or first >= length or first <= -WINDOW then return end
      empty = look(math.max(0, first)) and 0 or empty + 1
      first = first + step
    end
  end

  if not look(0) and hint > 0 then
    -- Those read after `hint` are above it; those before which others left are below.
    if look(hint) then
      sweep(hint - WINDOW, -WINDOW, 4)
    else
      sweep(hint + WINDOW, WINDOW, 2)
      sweep(hint - WINDOW, -WINDOW, left < #ids and 4 or WINDOWS)
    end
    sweep(hint + WINDOW, WINDOW, 4)
  else
    sweep(WINDOW, WINDOW, 4)
  end
  if left == 0 then return found end
  local sought = {}
  for _, id in ipairs(ids) do
    if wanted[id] then sought[#sought + 1] = id end
  end
  for _, id in ipairs(left <= FEW and sought or {}) do
    local place = redis.pcall("LPOS", list, id, "RANK", -1)
    if type(place) == "number" then note(id, length - 1 - place) end
    if type(place) ~= "table" then wanted[id] = nil end -- not there
  end
  for _, id in ipairs(sought) do
    if wanted[id] then -- read all of it once; Redis below 6.0.6 has no LPOS either
      for first = 0, length - 1, WINDOW do look(first) end
      break
    end
  end
  return found
end
