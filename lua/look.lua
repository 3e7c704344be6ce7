#!lua flags=no-writes
-- The head and the server's own state in one atomic look: is the log open, in which history, and how long is it?
--
-- KEYS  head
-- ARGV  none
-- Returns {replid, 'master' | 'replica'} when there is no head,
--         {replid, 'master' | 'replica', head's epoch, seq, replid, partitions, log, first} otherwise
local head_key = KEYS[1]

local replid, is_master = server()
local role = is_master and 'master' or 'replica'
local head = redis.call('HMGET', head_key, 'epoch', 'seq', 'replid', 'partitions', 'log', 'first')
if not head[2] then return { replid, role } end
return { replid, role, head[1] or '', head[2], head[3] or '', head[4] or '', head[5] or '', head[6] or '1' }
