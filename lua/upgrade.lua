#!lua
-- Brings the log's record to another format: a compare-and-set.
--
-- KEYS  meta
-- ARGV  log ID, version as read, new version
-- Returns 1 when log and version were the ones read, 0 otherwise
local meta_key = KEYS[1]
local log_id, read_version, version = ARGV[1], ARGV[2], ARGV[3]

local meta = redis.call('HMGET', meta_key, 'log', 'version')
if meta[1] ~= log_id or meta[2] ~= read_version then return 0 end
redis.call('HSET', meta_key, 'version', version)
return 1
