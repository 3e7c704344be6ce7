#!lua
-- Lets a dead letter's change be appended again: forgets that its ID is in the log, when it is known at that place only.
--
-- Guarantee: an ID that is known anywhere else stays known, so whatever is repeated behind this is a duplicate.
--
-- KEYS  seen  seen:old
-- ARGV  "<shop> <change ID>", payload digest, seq of the dead letter
-- Returns in how many of the two it was forgotten
local name, digest, seq = ARGV[1], ARGV[2], ARGV[3]

local count = 0
for _, key in ipairs(KEYS) do
  local known = redis.call('HGET', key, name)
  if known and string.find(known, digest .. ' ' .. seq .. ' ', 1, true) == 1 then
    count = count + redis.call('HDEL', key, name)
  end
end
return count
