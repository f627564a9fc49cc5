-- Finds many jobs of one list at once. A look for a single one costs Redis some 35 ns for each
-- other on the way; members in windows cost Lua 100 ns each, for all that are sought.
-- part: keys

local WINDOW = 500 -- members in one read
local WINDOWS = 16 -- windows read before the whole list is
local FEW = 2 -- jobs that are rather sought one by one

-- How many members are between the tail of a list and each of the jobs, by id; a job that is not in
-- the list is not in the table. `hints` says for each how many they were some time ago (0 where it
-- says nothing): what left since moved the jobs nearer to the tail, most of them equally far.
local function placesOf(list, ids, hints)
  local found, wanted, left = {}, {}, 0
  if typeOf(list) ~= "list" then return found end
  for _, id in ipairs(ids) do
    if not wanted[id] then wanted[id], left = true, left + 1 end
  end
  local length, windows, sawTail = redis.call("LLEN", list), WINDOWS, false

  local function note(id, place)
    wanted[id], left, found[id] = nil, left - 1, place
  end

  local function look(first, size)
    local members = redis.call("LRANGE", list, -first - size, -first - 1)
    for at = #members, 1, -1 do
      if wanted[members[at]] then note(members[at], first + #members - at) end
    end
  end

  -- Looks in windows, as long as there are any left: at the tail, where mostly all of them are, then
  -- around a place.
  local function seek(id, place)
    if not sawTail then look(0, math.min(WINDOW, 2 * left)) end
    sawTail = true
    place = math.min(place, length - 1)
    local starts = { 0, place - WINDOW + 1, place + 1 }
    for back = 2, 4 do starts[#starts + 1] = place - back * WINDOW + 1 end
    for _, first in ipairs(starts) do
      if not wanted[id] or windows == 0 then return end
      if first > -WINDOW and first < length then
        windows = windows - 1
        look(math.max(0, first), WINDOW)
      end
    end
  end

  local moved = 0
  for index, id in ipairs(ids) do
    local hint = hints[index] or 0
    if wanted[id] then
      local place = math.max(0, hint + moved)
      if redis.call("LINDEX", list, -place - 1) == id then
        note(id, place)
      else
        seek(id, place)
      end
    end
    if found[id] then moved = found[id] - hint end
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
      for first = 0, length - 1, WINDOW do look(first, WINDOW) end
      break
    end
  end
  return found
end
