--[[
  Reads whole jobs: all that a removal takes away, so that lua/restore.lua can put it back. Writes
  nothing. Jobs that are but a hash are read without it (qtui.bullmq.reads.scripted.wholes).

  KEYS   any key of the queue, by which a cluster finds the node
  ARGV   1 base key and a colon   2 suffix of the state's key, or "" to look for each job's state
         3 most characters of one job   4 characters after which it stops
         then the ids
  Reply  for each job its state's key and, if that was looked for, its score there, else "", its
         fields and values, and names and values of all else, or nil instead of these; or in place
         of all that in words why it can't be read whole. Fewer than the ids if the values are
         large, but at least one. A job without a hash has no fields.
         What else there is: `logs`, `dependencies`, `processed`, `failed`, `unsuccessful` as those
         keys hold them; `stuck`, those in `dependencies` that never end; in a list, if the state
         was looked for, `ahead` and `behind`, the ids beside it towards the tail and the head, and
         `index`, how many are ahead; `paused` if the
         queue is; `turn`, its score in `priority` (1.x to 3.x); `waits`, if its parent waits for
         it, with the parent's score in `waiting-children` or ""; `ended`, when that parent had
         finished, if it had; `held`, if it holds its
         deduplication, with the time in ms at which that ends or "", and `proto`, the fields of the
         job that waits for that.
]]
-- part: calls
-- part: clock
-- part: keys
-- part: jobkeys
-- part: lastchild
-- part: pending
-- part: neighbours
local base, given = ARGV[1], ARGV[2]
local MOST, STOP = tonumber(ARGV[3]), tonumber(ARGV[4])
local FIRST_ID = 5

local LISTS = { wait = true, paused = true, active = true }
local SETS = { "completed", "failed", "delayed", "prioritized", "waiting-children" }
local LARGE = { "data" } -- weighed before it is read
local MOST_MEMBERS = 10000
local TELLING = { parentKey = true, parent = true, deid = true } -- fields that lead to other keys

local READ = { list = "LRANGE", set = "SMEMBERS", hash = "HGETALL", zset = "ZRANGE" }
local SIZE = { list = "LLEN", set = "SCARD", hash = "HLEN", zset = "ZCARD" }
local HOW = { list = { 0, -1 }, set = {}, hash = {}, zset = { 0, -1, "WITHSCORES" } }

local paused = redis.pcall("HEXISTS", base .. "meta", "paused") == 1
local hasPriorities = typeOf(base .. "priority") == "zset"

local function sizeOf(values)
  local size = 0
  for index = 1, #values do size = size + #values[index] end
  return size
end

-- The state of a job, and its score there; in a list the place.
local function stateOf(id)
  for _, state in ipairs(SETS) do
    local score = redis.pcall("ZSCORE", base .. state, id)
    if type(score) == "string" then return state, score end
  end
  for state in pairs(LISTS) do
    local place = placesOf(base .. state, { id }, {})[id]
    if place then return state, "", place end
  end
  return "", ""
end

local function addPlace(rest, list, place)
  local beside = {
    ahead = place > 0 and redis.call("LINDEX", list, -place),
    behind = redis.call("LINDEX", list, -place - 2),
  }
  for _, name in ipairs({ "ahead", "behind" }) do
    if beside[name] then
      rest[#rest + 1] = name
      rest[#rest + 1] = beside[name]
    end
  end
  rest[#rest + 1] = "index"
  rest[#rest + 1] = place
end

local looks = 500 -- children looked at in one call: some 1 ms

-- Adds the children that never end: with them the parent already waits in vain.
local function addStuck(rest, children)
  looks = looks - #children
  if looks < 0 then return end
  local stuck = {}
  for _, child in ipairs(children) do
    if isPending(child) == false then stuck[#stuck + 1] = child end
  end
  if #stuck > 0 then
    rest[#rest + 1] = "stuck"
    rest[#rest + 1] = stuck
  end
end

-- Adds what is in the keys beside the hash: its size, and in words why it can't be read.
local function addBeside(rest, name)
  local total, start = 0, name .. ":"
  local some = redis.call("EXISTS", start .. "logs", start .. "dependencies", start .. "processed",
    start .. "failed", start .. "unsuccessful")
  if some == 0 then return 0 end
  for place, suffix in ipairs(BESIDE) do
    local one = start .. suffix
    local kind, wanted = typeOf(one), BESIDE_TYPES[place]
    local isOther = kind == "hash" and isJobHash(one)
    if kind ~= "none" and not isOther then
      if kind ~= wanted then return 0, one .. " is a " .. kind .. ", not a " .. wanted end
      if redis.call(SIZE[kind], one) > MOST_MEMBERS then return 0, one .. " is too large" end
      local values = redis.call(READ[kind], one, unpack(HOW[kind]))
      total = total + sizeOf(values)
      rest[#rest + 1] = BESIDE[place]
      rest[#rest + 1] = values
      if suffix == "dependencies" then addStuck(rest, values) end
    end
  end
  return total
end

local function addParent(rest, name, parentKey, json)
  local listed = redis.pcall("SISMEMBER", parentKey .. ":dependencies", name)
  if type(listed) == "table" then return listed.err end
  if listed == 0 then return nil end
  local parentBase, parentId = splitParent(parentKey, json)
  local score = parentBase and redis.pcall("ZSCORE", parentBase .. "waiting-children", parentId)
  rest[#rest + 1] = "waits"
  rest[#rest + 1] = type(score) == "string" and score or ""
  local ended = type(score) ~= "string" and redis.pcall("HGET", parentKey, "finishedOn")
  if type(ended) == "string" then
    rest[#rest + 1] = "ended"
    rest[#rest + 1] = ended
  end
  return nil
end

local function addDeduplication(rest, id, deduplication)
  local held = base .. "de:" .. deduplication
  if redis.pcall("GET", held) ~= id then return end
  local left = redis.call("PTTL", held)
  rest[#rest + 1] = "held"
  rest[#rest + 1] = left < 0 and "" or string.format("%.0f", tonumber(milliseconds()) + left)
  local proto = base .. "dn:" .. deduplication
  if typeOf(proto) == "hash" and not isJobHash(proto) then
    rest[#rest + 1] = "proto"
    rest[#rest + 1] = redis.call("HGETALL", proto)
  end
end

local function weigh(name)
  local size = 0
  for _, field in ipairs(LARGE) do
    local length = redis.pcall("HSTRLEN", name, field)
    if type(length) ~= "number" then return nil, length.err end
    size = size + length
  end
  return size
end

-- A job as in the reply, and its size; or in words why not.
local function read(id)
  local name = base .. id
  local size, why = weigh(name)
  if why then return why, 0 end
  if size > MOST then return "its fields are too large", 0 end
  local fields = redis.call("HGETALL", name)
  size = 0
  local rest, seen = {}, {}
  for at = 1, #fields, 2 do
    local field, value = fields[at], fields[at + 1]
    size = size + #field + #value
    if TELLING[field] then seen[field] = value end
  end
  local parentKey, parent, deduplication = seen.parentKey, seen.parent, seen.deid
  local state, score, place = given, "", nil
  if state == "" then
    state, score, place = stateOf(id)
  end
  if place then addPlace(rest, base .. state, place) end
  local more
  more, why = addBeside(rest, name)
  if why then return why, 0 end
  if size + more > MOST then return "it is too large with its logs and children", 0 end
  if paused then
    rest[#rest + 1] = "paused"
    rest[#rest + 1] = "1"
  end
  local turn = hasPriorities and redis.call("ZSCORE", base .. "priority", id)
  if turn then
    rest[#rest + 1] = "turn"
    rest[#rest + 1] = turn
  end
  if parentKey and parentKey ~= "" then
    why = addParent(rest, name, parentKey, parent)
    if why then return why, 0 end
  end
  if deduplication then addDeduplication(rest, id, deduplication) end
  return { state, score, fields, #rest > 0 and rest }, size + more
end

local found, total = {}, 0
for index = FIRST_ID, #ARGV do
  local job, size = read(ARGV[index])
  found[#found + 1] = job
  total = total + size
  if total > STOP then break end
end
return found
