-- The check that every script begins with which writes for a worker. Read ahead of those scripts by whoever loads them.
--
-- A history is one uninterrupted life of a partition's log: (epoch, replid). `master_replid` changes at every restart,
-- promotion and slot move, so as long as it is the head's, nothing that the head counts has been lost.

-- This server's replid, and whether it is a master: a writable replica has its master's replid. And whether it is a node of a
-- cluster.
local function server()
  local info = redis.call('INFO', 'replication', 'cluster')
  return string.match(info, 'master_replid:(%x+)'), string.match(info, 'role:master') ~= nil,
    string.find(info, 'cluster_enabled:1', 1, true) ~= nil
end

-- The head's seq (a string) when the log is still in the history (epoch, replid); nil when it is not.
local function seq_under(head_key, epoch, replid)
  local head = redis.call('HMGET', head_key, 'epoch', 'seq', 'replid')
  local here, is_master = server()
  if is_master and here == replid and head[3] == replid and head[1] == epoch then return head[2] end
  return nil
end
