-- Calls of Redis that may be refused without ending the script.

-- The first error of an effect after the move; the reply begins with it.
local note = ""

-- Calls Redis for a move: returns the error, with its command, or nil on success.
local function refusal(command, ...)
  local reply = redis.pcall(command, ...)
  if type(reply) == "table" and reply.err then return command .. ": " .. reply.err end
  return nil, reply
end

-- Takes Redis's reply to an effect that must not stop the batch: the first error becomes the note.
local function noted(command, reply)
  if type(reply) == "table" and reply.err then
    if note == "" then note = command .. ": " .. reply.err end
    return nil
  end
  return reply
end

-- Calls Redis for such an effect.
local function attempt(command, ...)
  return noted(command, redis.pcall(command, ...))
end
