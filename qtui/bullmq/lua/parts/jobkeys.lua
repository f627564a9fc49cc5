-- The keys of one job: its hash, and those beside it. An id may read like the name of another key
-- (`meta`, `42:processed`), so a key is a job's only if it also looks like it.
-- part: calls
-- part: keys

local BESIDE = { "logs", "dependencies", "processed", "failed", "unsuccessful" }
local BESIDE_TYPES = { "list", "set", "hash", "hash", "zset" }

-- Whether a key is the hash of a job: every release writes its `timestamp`, and only there.
local function isJobHash(name)
  local reply = redis.pcall("HEXISTS", name, "timestamp")
  return reply == 1
end

local NOTHING = {}

-- The keys beside a job's hash that are its own, the error if they may not be read, and whether a
-- worker holds its lock.
local function keysBeside(name)
  local start, lock = name .. ":", name .. ":lock"
  local refused, some = refusal("EXISTS", start .. "logs", start .. "dependencies",
    start .. "processed", start .. "failed", start .. "unsuccessful", lock)
  if refused then return nil, refused end
  if some == 0 then return NOTHING, nil, false end
  local found = {}
  for place, suffix in ipairs(BESIDE) do
    local one = start .. suffix
    local kind = typeOf(one)
    if kind == BESIDE_TYPES[place] and not (kind == "hash" and isJobHash(one)) then
      found[#found + 1] = one
    end
  end
  return found, nil, typeOf(lock) == "string"
end

local AT_ONCE = 20 -- jobs whose keys are looked for in one call

-- Those of the jobs that certainly have nothing beside their hashes, and no lock: mostly all.
local function withoutKeysBeside(names)
  local found = {}
  for first = 1, #names, AT_ONCE do
    local last, keys = math.min(first + AT_ONCE - 1, #names), {}
    for place = first, last do
      local start = names[place] .. ":"
      for _, suffix in ipairs(BESIDE) do keys[#keys + 1] = start .. suffix end
      keys[#keys + 1] = start .. "lock"
    end
    if redis.pcall("EXISTS", unpack(keys)) == 0 then
      for place = first, last do found[names[place]] = true end
    end
  end
  return found
end

local OTHER_KEYS = { limiter = true, delay = true, stalled = true, ["stalled-check"] = true }
for _, suffix in ipairs(SUFFIXES) do OTHER_KEYS[suffix] = true end

-- Whether a hash without a `timestamp` under this id may be something else than a job.
local function isNameOfOtherKey(id)
  if OTHER_KEYS[id] then return true end
  for _, start in ipairs({ "de:", "dn:", "repeat:", "metrics:", "limiter:" }) do
    if string.sub(id, 1, #start) == start then return true end
  end
  local last = string.match(id, ":([a-z]+)$")
  for _, suffix in ipairs(BESIDE) do
    if last == suffix then return true end
  end
  return last == "lock"
end
