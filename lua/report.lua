#!lua flags=allow-oom
-- Shows what a worker is doing, for a while; also when the server is out of memory, which is when people look.
--
-- KEYS  report
-- ARGV  JSON, how long it counts (ms)
-- Returns OK
local report_key = KEYS[1]
local json, life = ARGV[1], ARGV[2]

return redis.call('SET', report_key, json, 'PX', life)
