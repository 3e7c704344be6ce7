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

local count = 0
for k = first_job, #ARGV, 2 do
  local seq, job = tonumber(ARGV[k]), ARGV[k + 1]
  -- By halves: the first job of a higher seq.
  local low, high = 0, redis.call('LLEN', deliveries_key)
  local length = high
  if length > 0 and seq_at(0) > seq then high = 0 end
  while low < high do
    local middle = math.floor((low + high) / 2)
    if seq_at(middle) > seq then high = middle else low = middle + 1 end
  end
  -- One that is there by now was put there by somebody else meanwhile.
  if low == 0 or seq_at(low - 1) ~= seq then
    if low == 0 then
      redis.call('LPUSH', deliveries_key, job)
    elseif low == length then
      redis.call('RPUSH', deliveries_key, job)
    else
      redis.call('LINSERT', deliveries_key, 'BEFORE', redis.call('LINDEX', deliveries_key, low), job)
    end
    count = count + 1
  end
end
if position[2] and position[3] == position[1] then
  redis.call('HSET', position_key, 'sum', string.format('%d', tonumber(position[2]) + count))
end
return { 'PUSHED', string.format('%d', count) }
