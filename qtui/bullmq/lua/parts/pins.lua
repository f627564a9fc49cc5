-- What pins a job in a list, which has no scores. Equals qtui.bullmq.model.Row.stamp; a test holds
-- the two equal.

local LATEST = 4398046511103 -- ms, in 2109: with the attempts it fills 52 bits
local ATTEMPTS = 1024

-- A number as JavaScript wrote it, its fraction cut; nil if it is none.
local function wholeNumber(text)
  if not text then return nil end
  -- Decimals only, as in qtui.bullmq.model: tonumber accepts 0x10, nan and inf too.
  local number = tonumber(string.match(text, "^[%s%d%.eE%+%-]+$") or "")
  if not number or number == math.huge or number == -math.huge then return nil end
  return number < 0 and math.ceil(number) or math.floor(number)
end

-- The moment of a job's last start, else of its making, together with its attempts: it changes when
-- the job runs, and when another job gets its id.
local function stampOf(timestamp, processedOn, ats, atm, attemptsMade)
  local moment = wholeNumber(processedOn) or wholeNumber(timestamp) or 0
  local made = wholeNumber(attemptsMade) or wholeNumber(atm) or 0
  local attempts = (made % ATTEMPTS + (wholeNumber(ats) or 0) % ATTEMPTS) % ATTEMPTS
  return math.min(math.max(moment, 0), LATEST) * ATTEMPTS + attempts
end
