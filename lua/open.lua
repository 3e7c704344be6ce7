#!lua flags=allow-oom
-- Opens a partition's log under a new epoch, or creates it: a compare-and-set.
--
-- Guarantee: the head and the server are what the opener compared with the ledger, else nothing changes. What the log lost
-- is appended with seq, ID and fields as they were, and the idempotency window knows it again, and so does what may be sold. A
-- long tail comes in chunks; the log stays shut until the last. Then the shops that want admission are those that Postgres names.
--
-- KEYS  head  log  seen                    (and the window's buckets, in the same slot)
-- ARGV  head's epoch and seq as read ('' and '' when there is no head), server's replid as read, new epoch, partitions,
--       log ID, '1' for the last chunk, number of shops that want admission, their names, then for each entry that was lost:
--       seq, "<shop> <change ID>" ('' when it is no change), its hash, payload digest (16 bytes), number of strings, fields from
--       `type` on
-- Returns {'OPENED'} | {'CHANGED'} when something is not as it was read
--       | {'ORPHANED'} when there is no head, but entries: the head was deleted by hand
local head_key, log_key, seen_key = KEYS[1], KEYS[2], KEYS[3]
local read_epoch, read_seq, read_replid, epoch = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local partitions, log_id, is_last = ARGV[5], ARGV[6], ARGV[7] == '1'

local replid, is_master = server()
local head = redis.call('HMGET', head_key, 'epoch', 'seq', 'admission')
if not is_master or replid ~= read_replid or (head[1] or '') ~= read_epoch or (head[2] or '') ~= read_seq then
  return { 'CHANGED' }
end
if not head[2] then
  if redis.call('EXISTS', log_key) == 1 and redis.call('XLEN', log_key) > 0 then return { 'ORPHANED' } end
  redis.call('HSET', head_key, 'seq', '0', 'partitions', partitions, 'log', log_id)
end

local seq, seen, window = head[2] or '0', {}, window_at(seen_key)
local shops_to = 8 + tonumber(ARGV[8])
local at = shops_to + 1
while at <= #ARGV do
  local name, digest, last = ARGV[at + 1], ARGV[at + 3], at + 4 + tonumber(ARGV[at + 4])
  seq = ARGV[at]
  local entry = redis.call('XADD', log_key, '*', 'epoch', epoch, 'seq', seq, unpack(ARGV, at + 5, last))
  if name ~= '' then
    seen[#seen + 1] = name
    seen[#seen + 1] = record_of(window, digest, seq, entry)
    if window then redis.call('HSET', window_key(window, tonumber(ARGV[at + 2]), seen_key), unpack(seen, #seen - 1)) end
    if head[3] then follow(head_key, ARGV, at + 5, last) end
  end
  at = last + 1
end
if not window and #seen > 0 then
  local time = redis.call('TIME')
  redis.call('HSETNX', seen_key, 'since', string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000)))
  redis.call('HSET', seen_key, unpack(seen))
end
-- Else the keys of admission aren't touched: whoever has the rights of a build before it can open the log.
if is_last and (head[3] or shops_to > 8) then
  local admission_key, wants = admission_of(head_key), {}
  for k = 9, shops_to do
    wants[ARGV[k]] = true
    -- Redis lost that it was turned on, or the entries with which it was counted.
    if redis.call('HSETNX', admission_key, ARGV[k], '') == 1 then
      redis.call('UNLINK', available_of(head_key, ARGV[k]))
      count_anew(head_key, ARGV[k])
    end
  end
  for _, shop in ipairs(redis.call('HKEYS', admission_key)) do
    if not wants[shop] then
      redis.call('HDEL', admission_key, shop)
      redis.call('UNLINK', available_of(head_key, shop))
    end
  end
  if shops_to > 8 then
    redis.call('HSET', head_key, 'admission', '1')
  else
    redis.call('HDEL', head_key, 'admission')
  end
end
redis.call('HSET', head_key, 'epoch', epoch, 'seq', seq, 'replid', is_last and replid or '')
return { 'OPENED' }
