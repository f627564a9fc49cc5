-- How a script calls Redis where it may refuse: nothing that is refused ends the script.

-- The first error of an effect that comes after the move: what the reply begins with.
local note = ""

-- Calls Redis for a move: returns the error, with the command it is about, or nil when it was done.
local function refusal(command, ...)
  local reply = redis.pcall(command, ...)
  if type(reply) == "table" and reply.err then return command .. ": " .. reply.err end
  return nil, reply
end

-- What Redis said to an effect that must not stop the batch: the first error becomes the note.
local function told(command, reply)
  if type(reply) == "table" and reply.err then
    if note == "" then note = command .. ": " .. reply.err end
    return nil
  end
  return reply
end

-- Calls Redis for such an effect.
local function attempt(command, ...)
  return told(command, redis.pcall(command, ...))
end
