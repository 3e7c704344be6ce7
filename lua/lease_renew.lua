#!lua flags=allow-oom
-- Extends a lease that is the caller's. Never takes one.
--
-- KEYS  lease
-- ARGV  worker, lease (ms)
-- Returns 1 when it was the caller's and is extended, 0 otherwise
local lease_key = KEYS[1]
local worker, lease = ARGV[1], ARGV[2]

if redis.call('GET', lease_key) ~= worker then return 0 end
return redis.call('PEXPIRE', lease_key, lease)
