-- Failed jobs as BullMQ 5.81.5 leaves them (moveToFinished-14), for measurements only.
--
-- KEYS[1] the queue's `failed`
-- ARGV    what the keys of its jobs begin with; the first and the last id; the finish of a job 0 in
--         ms; the items of each job's data, 77 bytes each; every how manieth job has a megabyte of
--         data, 0 for none; the names of jobs, in one string with blanks; the reasons for which
--         they failed
-- Returns how many jobs there are.

local failed = KEYS[1]
local base, first, last, start = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local items, huge = tonumber(ARGV[5]), tonumber(ARGV[6])
local names, reasons = {}, {}
for name in string.gmatch(ARGV[7], "%S+") do names[#names + 1] = name end
for at = 8, #ARGV do reasons[#reasons + 1] = ARGV[at] end

local lines = {}
for line = 1, items do
  lines[line] = '{"sku":"item-' .. line .. '","quantity":2,"price":1999,"note":"as ordered, no change"}'
end
local order = '","items":[' .. table.concat(lines, ",") .. ']}'
local frames = {}
for frame = 1, 13 do
  frames[frame] = "\\n    at Charge.step" .. frame .. " (/app/node_modules/payments/lib/charge.js:" .. frame .. "1:17)"
end
local stack = table.concat(frames)
local megabyte = huge > 0 and string.rep(order, math.ceil(1048576 / #order)) or ""

for id = first, last do
  -- Primes, so that names and reasons do not run in step.
  local reason = reasons[(id * 7919) % #reasons + 1]
  local at = string.format("%.0f", start + id)
  local blob = huge > 0 and id % huge == 0 and megabyte or ""
  redis.call("HSET", base .. id,
    "name", names[(id * 31) % #names + 1],
    "data", '{"order":"ord_' .. id .. blob .. order,
    "opts", '{"attempts":3,"backoff":{"type":"exponential","delay":1000}}',
    "timestamp", at, "delay", 0, "priority", 0,
    "processedOn", at, "finishedOn", at, "ats", 3, "atm", 3,
    "failedReason", reason,
    "stacktrace", '["Error: ' .. reason .. stack .. '"]')
  redis.call("ZADD", failed, at, id)
end
return redis.call("ZCARD", failed)
