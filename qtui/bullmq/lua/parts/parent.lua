-- Makes a parent wait again for a child that will run again.
-- part: calls

-- Moves a child that leaves `state` back to its parent's dependencies, so that it waits for it.
local function restoreInParent(job, state)
  -- On a cluster the parent may be in another slot; then the error becomes the note.
  if attempt("EXISTS", job.parent) ~= 1 then return end
  local found
  if state == "completed" then
    found = attempt("HDEL", job.parent .. ":processed", job.name) == 1
  else
    found = attempt("ZREM", job.parent .. ":unsuccessful", job.name) == 1
    found = attempt("HDEL", job.parent .. ":failed", job.name) == 1 or found
  end
  if found then attempt("SADD", job.parent .. ":dependencies", job.name) end
end
