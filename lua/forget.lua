#!lua
-- Lets a dead letter's change be appended again: forgets that its ID is in the log, when it is known at that place only. Read
-- behind window.lua.
--
-- Guarantee: an ID that is known anywhere else stays known, so whatever is repeated behind this is a duplicate.
--
-- KEYS  seen  seen:old
-- ARGV  "<shop> <change ID>", its hash, payload digest (16 bytes), seq of the dead letter
-- Returns in how many of the two it was forgotten
local name, hash, digest, seq = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]

local window = window_at(KEYS[1])
local count = 0
for _, key in ipairs({ window_key(window, hash, KEYS[1]), window_key_before(window, hash, KEYS[1], KEYS[2]) }) do
  local known = redis.call('HGET', key, name)
  local known_digest, place = told(known or '')
  if known_digest == digest and string.find(place, seq .. ' ', 1, true) == 1 then
    count = count + redis.call('HDEL', key, name)
  end
end
return count
