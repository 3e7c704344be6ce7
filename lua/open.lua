#!lua flags=allow-oom
-- Opens a partition's log under a new epoch, or creates it: a compare-and-set.
--
-- Guarantee: the head and the server are what the opener compared with the ledger, else nothing changes.
--
-- KEYS  head  log
-- ARGV  head's epoch and seq as read ('' and '' when there is no head), server's replid as read, new epoch, partitions,
--       log ID
-- Returns {'OPENED'} | {'CHANGED'} when something is not as it was read
--       | {'ORPHANED'} when there is no head, but entries: the head was deleted by hand
local head_key, log_key = KEYS[1], KEYS[2]
local read_epoch, read_seq, read_replid, epoch = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local partitions, log_id = ARGV[5], ARGV[6]

local replid, is_master = server()
local head = redis.call('HMGET', head_key, 'epoch', 'seq')
if not is_master or replid ~= read_replid or (head[1] or '') ~= read_epoch or (head[2] or '') ~= read_seq then
  return { 'CHANGED' }
end
if not head[2] then
  if redis.call('EXISTS', log_key) == 1 and redis.call('XLEN', log_key) > 0 then return { 'ORPHANED' } end
  redis.call('HSET', head_key, 'seq', '0', 'partitions', partitions, 'log', log_id)
end
redis.call('HSET', head_key, 'epoch', epoch, 'replid', replid)
return { 'OPENED' }
