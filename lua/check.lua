#!lua flags=allow-oom
-- Compares what was counted in a sink in Redis with the sum that its position keeps; once in each epoch.
--
-- Guarantee: judged only while the caller owns the partition and the position is where it was when counting began, so
-- nobody has changed the sink meanwhile. A position without a sum of its own seq gets the one that was counted.
--
-- KEYS  head  position
-- ARGV  epoch, replid, token, owner, seq at which was counted, what was counted,
--       'equal' | 'bound' (a sum from which things are taken away: what is there may be less)
-- Returns {'HISTORY'} | {'MOVED'} | {'AGREES'} | {'DIFFERS', the position's sum}
local head_key, position_key = KEYS[1], KEYS[2]
local epoch, replid, token, owner, seq, counted, kind = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]

if not seq_under(head_key, epoch, replid) then return { 'HISTORY' } end
local position = redis.call('HMGET', position_key, 'token', 'owner', 'seq', 'sum', 'counted')
if position[1] ~= token or position[2] ~= owner or position[3] ~= seq then return { 'MOVED' } end
if position[5] ~= seq or not position[4] then
  redis.call('HSET', position_key, 'sum', counted, 'counted', seq)
elseif kind == 'bound' and tonumber(counted) > tonumber(position[4]) or kind == 'equal' and counted ~= position[4] then
  return { 'DIFFERS', position[4] }
end
redis.call('HSET', position_key, 'checked', epoch)
return { 'AGREES' }
