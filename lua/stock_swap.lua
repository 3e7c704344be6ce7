#!lua flags=allow-oom
-- Puts counters that were made anew in the place of a partition's, together with the position that they are of.
--
-- Guarantee: under the history in which they were made, and under a raised token: whoever applies goes on behind them.
-- Everything is checked before the first write. What follows in the log is applied again, so it must still be there.
--
-- KEYS  head  log  position  shops  then for each new shop: its shadow, its hash; then the hashes of shops that are no more
-- ARGV  epoch, replid, seq up to which they were made, that entry's ID ('' when unknown), sum, owner, number n of new shops,
--       their names
-- Returns {'HISTORY'} | {'TRIMMED'} when the log doesn't hold what follows | {'LOST'} when a shadow is gone
--       | {'SWAPPED', position before}
local head_key, log_key, position_key, shops_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local epoch, replid, seq, entry, sum, owner = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local count, first_pair, first_name = tonumber(ARGV[7]), 5, 8

local head_seq = seq_under(head_key, epoch, replid)
if not head_seq or tonumber(head_seq) < tonumber(seq) then return { 'HISTORY' } end
local before = redis.call('HGET', position_key, 'seq') or '0'
local first = tonumber(redis.call('HGET', head_key, 'first') or '1')
if tonumber(before) > tonumber(seq) and first > tonumber(seq) + 1 then return { 'TRIMMED' } end
for k = first_pair, first_pair + 2 * count - 1, 2 do
  if redis.call('EXISTS', KEYS[k]) == 0 then return { 'LOST' } end
end

redis.call('UNLINK', shops_key)
for k = first_name, #ARGV, 1000 do redis.call('SADD', shops_key, unpack(ARGV, k, math.min(k + 999, #ARGV))) end
for k = first_pair, first_pair + 2 * count - 1, 2 do
  redis.call('UNLINK', KEYS[k + 1])
  redis.call('RENAME', KEYS[k], KEYS[k + 1])
  redis.call('PERSIST', KEYS[k + 1])
end
for k = first_pair + 2 * count, #KEYS do redis.call('UNLINK', KEYS[k]) end
redis.call('HINCRBY', position_key, 'token', 1)
redis.call('HSET', position_key, 'owner', owner, 'epoch', epoch, 'seq', seq, 'entry', entry, 'sum', sum, 'counted', seq)
redis.call('HDEL', position_key, 'checked')
count_all_anew(head_key)
return { 'SWAPPED', before }
