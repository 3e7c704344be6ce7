#!lua
-- Puts jobs into the delivery list again that are not in it, each at its place: the list stays in the log's order.
--
-- Guarantee: under the history in which the position was read, so every job's entry is applied. Everything is checked before
-- the first write. The service takes from the left meanwhile: what would come before the first job comes first.
--
-- KEYS  head  position  deliveries
-- ARGV  epoch, replid, then for each job, those of higher seqs first: seq, JSON
-- Returns {'HISTORY'} | {'AHEAD'} when the sink has not applied one of them | {'STALLED', why} | {'PUSHED', number}
local head_key, position_key, deliveries_key = KEYS[1], KEYS[2], KEYS[3]
local epoch, replid, first_job = ARGV[1], ARGV[2], 3

if not seq_under(head_key, epoch, replid) then return { 'HISTORY' } end
local position = redis.call('HMGET', position_key, 'seq', 'sum', 'counted')
if ARGV[first_job] and tonumber(ARGV[first_job]) > tonumber(position[1] or '0') then return { 'AHEAD' } end
local kind = redis.call('TYPE', deliveries_key).ok
if kind ~= 'list' and kind ~= 'none' then
  return { 'STALLED', deliveries_key .. ': expected a list, found a ' .. kind }
end

-- A job that isn't one of ours counts as the oldest.
local function seq_at(index)
  return tonumber(string.match(redis.call('LINDEX', deliveries_key, index), '"seq":(%d+)}$') or '') or 0
end

local first = redis.call('LLEN', deliveries_key) > 0 and seq_at(0) or math.huge
local count, k = 0, first_job
while k < #ARGV and tonumber(ARGV[k]) >= first do
  local seq, length = tonumber(ARGV[k]), redis.call('LLEN', deliveries_key)
  -- By halves: the first job of a higher seq, behind the first that waits.
  local low, high = 1, length
  while low < high do
    local middle = math.floor((low + high) / 2)
    if seq_at(middle) > seq then high = middle else low = middle + 1 end
  end
  -- One that is there by now was put there by somebody else meanwhile.
  if seq_at(low - 1) ~= seq then
    if low == length then
      redis.call('RPUSH', deliveries_key, ARGV[k + 1])
    else
      redis.call('LINSERT', deliveries_key, 'BEFORE', redis.call('LINDEX', deliveries_key, low), ARGV[k + 1])
    end
    count = count + 1
  end
  k = k + 2
end
local before = {}
for i = k + 1, #ARGV, 2 do before[#before + 1] = ARGV[i] end
if #before > 0 then redis.call('LPUSH', deliveries_key, unpack(before)) end
count = count + #before
if position[2] and position[3] == position[1] then
  redis.call('HSET', position_key, 'sum', string.format('%d', tonumber(position[2]) + count))
end
return { 'PUSHED', string.format('%d', count) }
