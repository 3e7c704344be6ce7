#!lua flags=allow-oom
-- Takes a partition of a sink in Redis over: raises the token, and tells where to go on.
--
-- Guarantee: history, token and position are of one moment; from here on no earlier owner changes the sink.
--
-- KEYS  head  position
-- ARGV  epoch, replid, owner
-- Returns {'HISTORY'} when the log is not in that history,
--         {'FENCED', token, position's epoch, seq, entry, head's seq} otherwise
local head_key, position_key = KEYS[1], KEYS[2]
local epoch, replid, owner = ARGV[1], ARGV[2], ARGV[3]

local head_seq = seq_under(head_key, epoch, replid)
if not head_seq then return { 'HISTORY' } end
local token = redis.call('HINCRBY', position_key, 'token', 1)
redis.call('HSET', position_key, 'owner', owner)
redis.call('HSETNX', position_key, 'epoch', epoch)
redis.call('HSETNX', position_key, 'seq', '0')
redis.call('HSETNX', position_key, 'entry', '')
local position = redis.call('HMGET', position_key, 'epoch', 'seq', 'entry')
return { 'FENCED', string.format('%d', token), position[1], position[2], position[3], head_seq }
