-- What a resume of 1.x to 5.x would lose.
-- part: calls
-- part: keys

-- If a list `paused` exists, such a resume renames it over `wait`, whose jobs are lost. So before a
-- job makes the list, jobs that another tool left in `wait` of the paused queue are moved there, as
-- the pause of these releases does. Returns Redis's error, or nil.
local function keepFromResume(key, queue)
  if queue.pausedList or not queue.jobsInWait then return nil end
  return refusal("RENAMENX", key.wait, key.paused)
end
