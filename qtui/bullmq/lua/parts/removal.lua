-- Finds out whether Redis refuses to remove a job, before it is added anywhere else.

-- The error if Redis refuses a removal, tried with a member that is not there.
local function refusedRemoval(isThere, remove)
  local member = "\0"
  while isThere(member) do member = member .. "\0" end
  return remove(member)
end
