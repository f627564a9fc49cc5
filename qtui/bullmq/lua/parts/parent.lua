-- What a parent knows of a child that is to run again.
-- part: calls

-- Gives a parent back the child that leaves `state`, so that it waits for it again.
local function restoreInParent(job, state)
  -- A cluster may hold the parent in another slot; then the error becomes the note.
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
