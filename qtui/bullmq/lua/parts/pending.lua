-- Whether a parent can still wait for a child.

local FLAGS = { '"fpof"', '"rdof"', '"idof"', '"cpof"', "ParentOnFailure", "DependencyOnFailure" }

-- Whether a child may still end, or has failed in such a way that its parent keeps waiting; nil if
-- it can't be read (in a cluster it may be on another node).
local function isPending(child)
  local seen = redis.pcall("HMGET", child, "timestamp", "finishedOn", "parent", "opts")
  if seen.err then return nil end
  if not seen[1] then return false end
  if not seen[2] then return true end
  for _, flag in ipairs(FLAGS) do
    local text = (seen[3] or "") .. (seen[4] or "")
    if string.find(text, flag, 1, true) then return false end
  end
  local childBase, id = string.match(child, "^(.*:)([^:]*)$")
  return childBase and redis.call("ZSCORE", childBase .. "failed", id) and true or false
end
