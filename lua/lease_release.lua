#!lua flags=allow-oom
-- Gives a lease back that is the caller's.
--
-- KEYS  lease
-- ARGV  worker
-- Returns 1 when it was the caller's, 0 otherwise
local lease_key = KEYS[1]
local worker = ARGV[1]

if redis.call('GET', lease_key) ~= worker then return 0 end
return redis.call('DEL', lease_key)
