-- Reads the places of jobs in sorted sets, and compares them with those that were seen.

-- Whether a job is where it was picked: its score is the one that was seen, or "" for any.
local function isPinned(score, seen)
  if not score then return false end
  return seen == "" or score == seen or tonumber(score) == tonumber(seen)
end

-- The score of each id in a sorted set, in order; false for one that is not in it.
local function scoresOf(set, ids)
  if #ids == 0 then return {} end
  local scores = redis.pcall("ZMSCORE", set, unpack(ids))
  if not scores.err then return scores end
  -- Redis below 6.2 has no ZMSCORE, and an ACL may allow only ZSCORE.
  scores = {}
  for index, id in ipairs(ids) do scores[index] = redis.call("ZSCORE", set, id) end
  return scores
end
