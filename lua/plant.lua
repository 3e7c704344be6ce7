#!lua
-- Plants a partition whose keys are gone anew: a head that is shut, with nothing in the log, the sinks' positions, and the
-- IDs that are remembered.
--
-- Guarantee: there is neither head nor log, on the server that was looked at, else nothing changes. Whoever opens the log
-- puts back from the ledger what comes behind the head. IDs of which the ledger knows nothing are forgotten: what they stood
-- for is gone.
--
-- KEYS  head  log  position of stock  position of delivery  shops  seen  seen:old  the shadow of seen
--       deliveries  then for each shop: its shadow, its hash
-- ARGV  server's replid as read, log ID, partitions, epoch, seq of the head, stock's seq and sum, delivery's seq,
--       '1' when there is a shadow of seen, then the shops' names
-- Returns {'PLANTED'} | {'CHANGED'} when something is there, or the server is another | {'LOST'} when a shadow is gone
local head_key, log_key, stock_key, delivery_key, shops_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local read_replid, log_id, partitions, epoch, seq = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local seen_key, old_key, seen_shadow, deliveries_key = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local stock_seq, stock_sum, delivery_seq, has_seen = ARGV[6], ARGV[7], ARGV[8], ARGV[9] == '1'
local first_pair, first_name = 10, 10

local replid, is_master = server()
if not is_master or replid ~= read_replid or redis.call('EXISTS', head_key) == 1 then return { 'CHANGED' } end
if redis.call('EXISTS', log_key) == 1 and redis.call('XLEN', log_key) > 0 then return { 'CHANGED' } end
if has_seen and redis.call('EXISTS', seen_shadow) == 0 then return { 'LOST' } end
for k = first_pair, #KEYS, 2 do
  if redis.call('EXISTS', KEYS[k]) == 0 then return { 'LOST' } end
end

redis.call('UNLINK', seen_key, old_key)
if has_seen then
  local time = redis.call('TIME')
  redis.call('RENAME', seen_shadow, seen_key)
  redis.call('PERSIST', seen_key)
  redis.call('HSET', seen_key, 'since', string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000)))
end

redis.call('UNLINK', shops_key)
for k = first_name, #ARGV, 1000 do redis.call('SADD', shops_key, unpack(ARGV, k, math.min(k + 999, #ARGV))) end
for k = first_pair, #KEYS, 2 do
  redis.call('UNLINK', KEYS[k + 1])
  redis.call('RENAME', KEYS[k], KEYS[k + 1])
  redis.call('PERSIST', KEYS[k + 1])
end
redis.call('UNLINK', stock_key, delivery_key)
-- Whoever opens the log knows which shops want admission, and has it counted.
for _, shop in ipairs(redis.call('HKEYS', admission_of(head_key))) do redis.call('UNLINK', available_of(head_key, shop)) end
redis.call('UNLINK', admission_of(head_key))
-- What waits in the list, if it is there still, counts as pushed.
local jobs = redis.call('TYPE', deliveries_key).ok == 'list' and redis.call('LLEN', deliveries_key) or 0
redis.call('HSET', stock_key, 'token', '0', 'owner', '', 'epoch', epoch, 'seq', stock_seq, 'entry', '',
  'sum', stock_sum, 'counted', stock_seq)
redis.call('HSET', delivery_key, 'token', '0', 'owner', '', 'epoch', epoch, 'seq', delivery_seq, 'entry', '',
  'sum', string.format('%d', jobs), 'counted', delivery_seq)
redis.call('HSET', head_key, 'epoch', epoch, 'seq', seq, 'replid', '', 'partitions', partitions, 'log', log_id,
  'first', string.format('%d', tonumber(seq) + 1))
return { 'PLANTED' }
