#!lua flags=allow-oom
-- Takes a partition's lease when it is free, already the caller's, or its holder's process is gone.
--
-- Guarantee: a lease goes from one holder to the next in one step. A holder counts as gone when nobody subscribes to
-- its channel and its lease was not renewed since the caller last looked.
--
-- KEYS  lease
-- ARGV  worker, lease (ms), holder thought gone ('' for none), its channel, its lease's remaining time when last seen (ms)
-- Returns {'ACQUIRED', ''} | {'ACQUIRED', holder that was gone} | {'HELD', holder, remaining (ms)}
local lease_key = KEYS[1]
local worker, lease, gone, channel, remaining = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])

local holder = redis.call('GET', lease_key)
if not holder or holder == worker then
  redis.call('SET', lease_key, worker, 'PX', lease)
  return { 'ACQUIRED', '' }
end
local left = redis.call('PTTL', lease_key)
if holder == gone and left <= remaining and redis.call('PUBSUB', 'NUMSUB', channel)[2] == 0 then
  redis.call('SET', lease_key, worker, 'PX', lease)
  return { 'ACQUIRED', holder }
end
return { 'HELD', holder, left }
