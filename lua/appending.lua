-- Appends changes of one partition to its log: all that are new, in the order given. Read behind history.lua, ahead of append.lua
-- and of functions.lua.
--
-- Guarantee: a change ID is in the log once within the window, also when it is repeated within the call. Every check
-- comes before the first write.
--
-- keys  head  log  seen  seen:old          (`seen` rotates into `seen:old` each window: an ID is known for one to two)
-- args  log ID, partitions, window (ms), then for each change:
--       payload digest, type, change ID, shop, number of strings that follow, fields and values behind `shop`
-- Returns
--   {'NOLOG'}                              there is no head: never created on the way
--   {'MISMATCH', log ID, partitions}       another log than the caller knows
--   {'CLOSED'}                             the server's history is not the head's, or it is not a master
--   {'OK', epoch, seq before, then for each change:
--     its entry ID when it is accepted, under the next seq, or in one string 'duplicate' | 'conflict', seq, entry ID}
local function encoded(name)
  return (string.gsub(string.gsub(name, '%%', '%%25'), ' ', '%%20'))
end

local function append(keys, args)
  local head_key, log_key, seen_key, old_key = keys[1], keys[2], keys[3], keys[4]
  local log_id, partitions, window = args[1], args[2], tonumber(args[3])

  local head = redis.call('HMGET', head_key, 'log', 'partitions', 'replid', 'epoch', 'seq')
  if not head[5] then return { 'NOLOG' } end
  if head[1] ~= log_id or head[2] ~= partitions then return { 'MISMATCH', head[1] or '', head[2] or '' } end
  local replid, is_master, in_cluster = server()
  if not is_master or replid ~= head[3] then return { 'CLOSED' } end

  -- Where each change begins in args, and the names under which the window knows them: "<shop> <change ID>", with what
  -- could be taken for the blank between them percent-encoded.
  local starts, names, count = { 4 }, {}, 0
  while starts[count + 1] <= #args do
    count = count + 1
    local at = starts[count]
    local shop, id = args[at + 3], args[at + 2]
    if string.find(shop, '[ %%]') then shop = encoded(shop) end
    if string.find(id, '[ %%]') then id = encoded(id) end
    names[count] = shop .. ' ' .. id
    starts[count + 1] = at + 5 + args[at + 4]
  end
  if count == 0 then return { 'OK', head[4], head[5] } end
  local seen = redis.call('HMGET', seen_key, unpack(names))
  -- Asked only when it is there: most of the time it isn't, and then each name would cost a reply.
  local old = redis.call('EXISTS', old_key) == 1 and redis.call('HMGET', old_key, unpack(names)) or {}
  local since = redis.call('HGET', seen_key, 'since')

  local call, format, match = redis.call, string.format, string.match
  local epoch, seq = head[4], tonumber(head[5])
  local reply, places, fresh = { 'OK', epoch, head[5] }, {}, {}
  for i = 1, count do
    local start, name, digest = starts[i], names[i], args[starts[i]]
    local known = seen[i] or old[i] or places[name]
    if known then
      local known_digest, place = match(known, '^(%S+) (%S+ %S+)$')
      reply[i + 3] = (known_digest == digest and 'duplicate ' or 'conflict ') .. place
    else
      seq = seq + 1
      local place = format('%d', seq)
      local entry = call('XADD', log_key, '*', 'epoch', epoch, 'seq', place,
        'type', args[start + 1], 'id', args[start + 2], 'shop', args[start + 3],
        unpack(args, start + 5, starts[i + 1] - 1))
      known = digest .. ' ' .. place .. ' ' .. entry
      places[name] = known
      fresh[#fresh + 1] = name
      fresh[#fresh + 1] = known
      reply[i + 3] = entry
    end
  end

  -- Also when all were known: WAIT and WAITAOF wait for what their connection wrote, from 7.2 on not for what it read.
  redis.call('HSET', head_key, 'seq', string.format('%d', seq))
  if #fresh > 0 then
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    if since and now - tonumber(since) >= window then
      redis.call('UNLINK', old_key)
      redis.call('RENAME', seen_key, old_key)
      since = nil
    end
    if not since then redis.call('HSET', seen_key, 'since', string.format('%d', now)) end
    redis.call('HSET', seen_key, unpack(fresh))
    -- Who reads streams of several slots can't block on all of them: it listens.
    if in_cluster then redis.call('SPUBLISH', log_key, '') end
  end
  return reply
end
