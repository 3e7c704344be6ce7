#!lua flags=allow-oom
-- Takes a partition of a sink in Redis over: raises the token, and tells where to go on.
--
-- Guarantee: history, token and position are of one moment; from here on no earlier owner changes the sink. A sink that
-- has never begun gets a position before the first entry; one whose position was deleted does not: it would apply the
-- whole log again.
--
-- KEYS  head  position  log
-- ARGV  epoch, replid, owner, group
-- Returns {'HISTORY'} when the log is not in that history,
--         {'STALLED', why} when the position is missing although the group has acknowledged,
--         {'FENCED', token, position's epoch, seq, entry, head's seq} otherwise
local head_key, position_key, log_key = KEYS[1], KEYS[2], KEYS[3]
local epoch, replid, owner, group = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

-- The log's first entry when the group has read and acknowledged it: then the sink has it.
local function first_acknowledged()
  for _, fields in ipairs(redis.pcall('XINFO', 'GROUPS', log_key)) do
    local values = {}
    for k = 1, #fields, 2 do values[fields[k]] = fields[k + 1] end
    if values['name'] == group then
      local first = redis.call('XRANGE', log_key, '-', values['last-delivered-id'], 'COUNT', 1)[1]
      local is_pending = first and #redis.call('XPENDING', log_key, group, first[1], first[1], 1) > 0
      return first and not is_pending and first[1]
    end
  end
end

local head_seq = seq_under(head_key, epoch, replid)
if not head_seq then return { 'HISTORY' } end
if redis.call('HEXISTS', position_key, 'seq') == 0 then
  local entry = first_acknowledged()
  if entry then
    return { 'STALLED', position_key .. ': the position is missing, although the group has acknowledged ' .. entry }
  end
end
local token = redis.call('HINCRBY', position_key, 'token', 1)
redis.call('HSET', position_key, 'owner', owner)
redis.call('HSETNX', position_key, 'epoch', epoch)
if redis.call('HSETNX', position_key, 'seq', '0') == 1 then
  redis.call('HSET', position_key, 'sum', '0', 'counted', '0')
end
redis.call('HSETNX', position_key, 'entry', '')
local position = redis.call('HMGET', position_key, 'epoch', 'seq', 'entry')
return { 'FENCED', string.format('%d', token), position[1], position[2], position[3], head_seq }
