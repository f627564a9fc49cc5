-- Whether Redis would refuse to take a job out of where it is, before it is put anywhere else.

-- What Redis says to a removal, tried with a member that is not there.
local function refusedRemoval(isThere, remove)
  local member = "\0"
  while isThere(member) do member = member .. "\0" end
  return remove(member)
end
