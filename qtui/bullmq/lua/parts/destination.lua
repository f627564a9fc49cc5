-- Where a job goes to run again. Equals qtui.bullmq.dialect.destination; a test holds them equal.

local ONE_RESUME = 7000 -- ids that a resume of 6.x moves out of `paused` in one call
local HIGHEST_PRIORITY = 2097152 -- 2^21: with the counter it fills the 53 bits of a score

local function isLifo(opts)
  if not opts or not string.find(opts, '"lifo"', 1, true) then return false end
  local ok, options = pcall(cjson.decode, opts)
  if not ok or type(options) ~= "table" then return false end
  local lifo = options.lifo
  return lifo ~= nil and lifo ~= cjson.null and lifo ~= false and lifo ~= 0 and lifo ~= ""
end

local function priorityOf(text)
  if text == "0" or not text then return 0 end
  -- Decimals only, as in qtui.bullmq.model: tonumber accepts 0x10, nan and inf too.
  local priority = tonumber(string.match(text, "^[%s%d%.eE%+%-]+$") or "")
  if not priority or priority < 1 or priority == math.huge then return 0 end
  return math.min(math.floor(priority), HIGHEST_PRIORITY)
end

-- The key that a job goes to. The reasons are in qtui.bullmq.dialect.
local function destination(queue, job)
  local modern = job.modern or queue.modern
  local ranked = job.priority > 0 or string.sub(job.id, 1, 2) == "0:"
  if ranked and (modern or queue.knowsPrioritized) then return "prioritized" end
  if not queue.paused then return "wait" end
  if not modern or queue.modern == false then return "paused" end
  if queue.older and queue.inPaused < ONE_RESUME then return "paused" end
  return queue.newer and "wait" or "prioritized"
end

-- The list that keeps the waiting jobs when a queue is paused that is not. Equals
-- qtui.bullmq.dialect.kept_while_paused.
local function keptWhilePaused(queue)
  local major = queue.major or 0
  if queue.modern then return (major >= 6 or major == 1) and "wait" or "paused" end
  return queue.modern == nil and major >= 6 and "wait" or "paused"
end
