#!lua flags=allow-oom
-- Drops from a partition's log what lies before one of its entries, and notes in the head which seq is the first now.
--
-- Guarantee: under the history in which the positions were read, so the one that is kept elsewhere has not gone back;
-- every group's sink has the entry that is kept, by its position here and now, and no group has anything pending that is
-- dropped. So the entry at each position stays, by which a log that was opened anew is compared with the ledger.
--
-- KEYS  head  log  then the position of each group that has one in Redis
-- ARGV  epoch, replid, seq of the entry to keep, its ID, number n of groups with a position in Redis,
--       then for each of those, as in KEYS, and for the others: name, seq at which it began
-- Returns {'HISTORY'} | {'HELD', group} | {'ELSEWHERE'} | {'TRIMMED', number of entries}
local head_key, log_key = KEYS[1], KEYS[2]
local epoch, replid, keep, entry, positions = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local first_position, first_group = 3, 6

-- Of two stream IDs; their numbers may be larger than a double holds.
local function is_below(id, other)
  local a, b = { string.match(id, '^(%d+)-(%d+)$') }, { string.match(other, '^(%d+)-(%d+)$') }
  for k = 1, 2 do
    if #a[k] ~= #b[k] then return #a[k] < #b[k] end
    if a[k] ~= b[k] then return a[k] < b[k] end
  end
  return false
end

local head_seq = seq_under(head_key, epoch, replid)
if not head_seq or tonumber(head_seq) < keep then return { 'HISTORY' } end
local found = redis.call('XRANGE', log_key, entry, entry)[1]
if not found or found[2][3] ~= 'seq' or tonumber(found[2][4]) ~= keep then return { 'ELSEWHERE' } end
for k = first_group, #ARGV, 2 do
  local group, began, index = ARGV[k], tonumber(ARGV[k + 1]), (k - first_group) / 2
  if index < positions then
    local seq = tonumber(redis.call('HGET', KEYS[first_position + index], 'seq') or '0')
    if math.max(seq, began) < keep then return { 'HELD', group } end
  end
  -- A group that isn't there has nothing pending.
  local pending = redis.pcall('XPENDING', log_key, group)
  if not pending.err and pending[1] > 0 and is_below(pending[2], entry) then return { 'HELD', group } end
end

local count = redis.call('XTRIM', log_key, 'MINID', entry)
local first = tonumber(redis.call('HGET', head_key, 'first') or '1')
if keep > first then redis.call('HSET', head_key, 'first', string.format('%d', keep)) end
return { 'TRIMMED', string.format('%d', count) }
