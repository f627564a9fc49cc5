--[[
  Reads what changed in the counts and the condition of many queues, in one command. For EVAL_RO;
  writes nothing.

  Reads what `reads/status.py` reads by 21 commands a queue. Where nothing changed since the last
  call that takes 4 commands for a queue at rest, 7 for a busy one, and some more if jobs are in a
  state that was empty; the markers in lists and the types of keys are only looked at where
  something changed. Costs Redis 3 to 6 µs a queue without changes, and 12 µs with some.

  KEYS   for each queue its key `meta`; the others are made from it, so not for a cluster
  ARGV   1 the suffixes of the states' keys, with blanks between   2 for each "l" for a list or "z"
         3 how many of the first of them are looked at one by one in a queue at rest, and in a busy
         one: the others are mostly empty   4 the suffixes of the keys whose types show the kind of
         queue   5 members looked at on each end of a list
         then for each queue what is remembered of it, or ""
  Reply  for each queue nil if nothing changed, else a text, its parts with blanks between: the
         numbers of markers in the lists, with commas between; the types likewise, or "-" if they do
         not matter; and what is to be remembered, which are parts as well: "b" for a busy queue or
         "r" for one at rest; the members of each state's key; whether it is paused (0 or 1); 1 if
         `meta` has a length of events, and 2 more if it has a version; the concurrency, or "-"; the
         version.
         The text is empty if one of its keys could not be read, or holds something unusual.
]]
local pcall, concat, find, sub = redis.pcall, table.concat, string.find, string.sub
local FIRST_REMEMBERED = 6

local function words(text)
  local found = {}
  for word in string.gmatch(text, "%S+") do found[#found + 1] = word end
  return found
end

local states, typed, edge = words(ARGV[1]), words(ARGV[4]), tonumber(ARGV[5])
local at_rest, busy = unpack(words(ARGV[3]))
at_rest, busy = tonumber(at_rest), tonumber(busy)
local counting, rare = {}, {}
-- To write a number takes as long as to ask for it, and most are small.
local written = setmetatable({}, {
  __index = function(known, number)
    known[number] = string.format("%d", number)
    return known[number]
  end,
})
for at = 1, #states do counting[at] = sub(ARGV[2], at, at) == "l" and "LLEN" or "ZCARD" end

-- Whether it is busy, and the members of each state's key as texts; nil if one can't be read.
local function lengths(base, common)
  local found, number = { "r" }, #states
  for at = common + 1, number do rare[at - common] = base .. states[at] end
  local last = common
  if pcall("EXISTS", unpack(rare, 1, number - common)) ~= 0 then last = number end
  for at = 1, last do
    local length = pcall(counting[at], base .. states[at])
    if type(length) ~= "number" then return nil end
    if length > 0 and at > at_rest and at <= busy then found[1] = "b" end
    found[at + 1] = written[length]
  end
  for at = last + 1, number do found[at + 1] = "0" end
  return found
end

-- The number of a list's markers, near its ends; nil if it can't be read.
local function markers(key, length)
  local found = 0
  local ranges = length <= 2 * edge and { { 0, -1 } } or { { 0, edge - 1 }, { -edge, -1 } }
  for _, range in ipairs(ranges) do
    local members = pcall("LRANGE", key, range[1], range[2])
    if members.err then return nil end
    for _, one in ipairs(members) do
      if one == "0" or find(one, "^0:%d+$") then found = found + 1 end
    end
  end
  return found
end

-- The markers in each list, of what `lengths` has found; nil if one can't be read.
local function all_markers(base, members)
  local found = {}
  for at, suffix in ipairs(states) do
    if counting[at] == "LLEN" then
      local length = tonumber(members[at + 1])
      local number = length == 0 and 0 or markers(base .. suffix, length)
      if not number then return nil end
      found[#found + 1] = number
    end
  end
  return concat(found, ",")
end

-- The types of all keys that matter; nil if one can't be read.
local function types(base)
  local found = {}
  for at, suffix in ipairs(typed) do
    local reply = pcall("TYPE", base .. suffix)
    if reply.err then return nil end
    found[at] = reply.ok
  end
  return concat(found, ",")
end

local function status(meta, remembered)
  local base = sub(meta, 1, -5)
  local parts = lengths(base, sub(remembered, 1, 1) == "b" and busy or at_rest)
  local held = pcall("HMGET", meta, "paused", "version", "concurrency", "opts.maxLenEvents")
  if not parts or held.err then return "" end
  local paused, version, concurrency, most = held[1], held[2], held[3], held[4]
  if concurrency and not find(concurrency, "^%d+$") then return "" end
  local number = #states + 1
  parts[number + 1] = paused and "1" or "0"
  parts[number + 2] = written[(most and 1 or 0) + (version and 2 or 0)]
  parts[number + 3] = concurrency or "-"
  parts[number + 4] = version or ""
  local now = concat(parts, " ")
  local named = version or most
  if named and now == remembered then return false end
  local marked, kinds = all_markers(base, parts), "-"
  if not named or pcall("TYPE", base .. "groups").ok ~= "none" then kinds = types(base) end
  if not marked or not kinds then return "" end
  return concat({ marked, kinds, now }, " ")
end

local found = {}
for at, meta in ipairs(KEYS) do
  found[at] = status(meta, ARGV[FIRST_REMEMBERED + at - 1])
end
return found
