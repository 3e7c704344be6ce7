#!lua flags=allow-oom
-- Shuts an open log, so that nothing is appended while it is opened anew.
--
-- KEYS  head
-- ARGV  epoch that was read
-- Returns 1 when the head had that epoch, 0 otherwise
local head_key = KEYS[1]
local epoch = ARGV[1]

if redis.call('HGET', head_key, 'epoch') ~= epoch then return 0 end
redis.call('HSET', head_key, 'replid', '')
return 1
