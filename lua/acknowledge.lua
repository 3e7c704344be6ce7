#!lua flags=allow-oom
-- Acknowledges entries whose effect is in the sink.
--
-- Guarantee: under the history in which they were read, since an ID may name another entry by now. Where the position
-- is in Redis, nothing above it is acknowledged. Where it is in a store of the user's, Redis shows it too: written here,
-- behind the effect, it is never ahead of the store.
--
-- KEYS  head  log  [position]
-- ARGV  epoch, replid, group, the position to show: its seq ('' for none), its entry ID, its owner,
--       then for each entry: seq ('' for one added by hand), entry ID
-- Returns {'HISTORY'} | {'ACKNOWLEDGED', how many were pending}
local head_key, log_key, position_key = KEYS[1], KEYS[2], KEYS[3]
local epoch, replid, group = ARGV[1], ARGV[2], ARGV[3]
local shown_seq, shown_entry, owner = ARGV[4], ARGV[5], ARGV[6]

if not seq_under(head_key, epoch, replid) then return { 'HISTORY' } end
local limit = math.huge
if shown_seq ~= '' then
  redis.call('HSET', position_key, 'epoch', epoch, 'seq', shown_seq, 'entry', shown_entry, 'owner', owner)
elseif position_key then
  limit = tonumber(redis.call('HGET', position_key, 'seq') or '0')
end
local ids = {}
for k = 7, #ARGV, 2 do
  if ARGV[k] == '' or tonumber(ARGV[k]) <= limit then ids[#ids + 1] = ARGV[k + 1] end
end
local count = 0
for from = 1, #ids, 1000 do
  count = count + redis.call('XACK', log_key, group, unpack(ids, from, math.min(from + 999, #ids)))
end
return { 'ACKNOWLEDGED', count }
