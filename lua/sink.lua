-- What the sinks in Redis share. Read behind history.lua, ahead of stock.lua and delivery.lua.

-- The arguments that both scripts begin with: ARGV[1..8], then the counted lists `acks` and `dead`.
local function batch_arguments()
  local batch = {
    epoch = ARGV[1], replid = ARGV[2], token = ARGV[3], owner = ARGV[4],
    first = tonumber(ARGV[5]), last = tonumber(ARGV[6]), entry = ARGV[7], group = ARGV[8],
  }
  local at = 9
  batch.acks_from = at + 1
  batch.acks_to = at + tonumber(ARGV[at])
  at = batch.acks_to + 1
  batch.dead = {}
  for _ = 1, tonumber(ARGV[at]) do
    -- id, whether it counts in the position (else it was added by hand), number of strings, the strings
    local count = tonumber(ARGV[at + 3])
    batch.dead[#batch.dead + 1] = { id = ARGV[at + 1], placed = ARGV[at + 2] == '1', from = at + 4, to = at + 3 + count }
    at = at + 3 + count
  end
  batch.rest = at + 1
  return batch
end

-- Why nothing can be written to a key, as the script's reply; nil when its type is right or nothing is there.
local function wrong_type(key, type)
  local kind = redis.call('TYPE', key).ok
  if kind == type or kind == 'none' then return nil end
  return { 'STALLED', key .. ': expected a ' .. type .. ', found a ' .. kind }
end

-- Why this batch may not be applied, as the script's reply; nil when it may.
-- What `finish` writes is checked here too: an error there would come behind the effects, and leave them half done.
-- A batch that is refused by its token is counted, beside the position, and changes nothing else.
local function refusal(batch, head_key, log_key, position_key, dead_key)
  local head_seq = seq_under(head_key, batch.epoch, batch.replid)
  if not head_seq or tonumber(head_seq) < batch.last then return { 'HISTORY' } end
  local position = redis.call('HMGET', position_key, 'seq', 'token', 'owner', 'sum', 'counted')
  if position[2] ~= batch.token or position[3] ~= batch.owner then
    if position[2] then redis.call('HINCRBY', position_key, 'refused', 1) end
    return { 'FENCED', position[2] or '', position[3] or '' }
  end
  local seq = tonumber(position[1])
  -- A sum that was counted at another seq says nothing: somebody moved the position by hand.
  batch.sum = position[5] == position[1] and tonumber(position[4] or '')
  if seq == batch.first - 1 then return wrong_type(log_key, 'stream') or wrong_type(dead_key, 'stream') end
  if seq >= batch.last and batch.last >= batch.first then return { 'DUPLICATE', position[1] } end
  return { 'GAP', position[1] }
end

-- Sets entries aside, moves the position and acknowledges: the end of both scripts, after their effects.
-- An entry added by hand has no place that would tell a repetition, but it is pending only once.
-- `sum` is written as a value, so half of this script, executed at a later restart, leaves effects that differ from it.
local function finish(batch, log_key, position_key, dead_key, sum)
  for _, letter in ipairs(batch.dead) do
    if letter.placed or redis.call('XACK', log_key, batch.group, letter.id) == 1 then
      redis.call('XADD', dead_key, '*', unpack(ARGV, letter.from, letter.to))
    end
  end
  if batch.last >= batch.first then
    local seq = string.format('%d', batch.last)
    if sum then
      redis.call('HSET', position_key, 'epoch', batch.epoch, 'seq', seq, 'entry', batch.entry,
        'sum', string.format('%d', sum), 'counted', seq)
    else
      redis.call('HSET', position_key, 'epoch', batch.epoch, 'seq', seq, 'entry', batch.entry)
    end
  end
  if batch.acks_to >= batch.acks_from then
    redis.call('XACK', log_key, batch.group, unpack(ARGV, batch.acks_from, batch.acks_to))
  end
  return { 'APPLIED' }
end
