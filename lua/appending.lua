-- Appends changes of one partition to its log: all that are new, in the order given. Read behind history.lua and admitting.lua,
-- ahead of append.lua and of functions.lua.
--
-- Guarantee: a change ID is in the log once within the window, also when it is repeated within the call. Where admission is on, an
-- order goes in only if every line of it is covered, and takes what it gets in the same step. Every check comes before the first
-- write.
--
-- keys  head  log  seen  seen:old          (`seen` rotates into `seen:old` each window: an ID is known for one to two)
-- args  log ID, partitions, window (ms), then for each change:
--       payload digest, type, change ID, shop, number of strings that follow, fields and values behind `shop`
-- Returns
--   {'NOLOG'}                              there is no head: never created on the way
--   {'MISMATCH', log ID, partitions}       another log than the caller knows
--   {'CLOSED'}                             the server's history is not the head's, or it is not a master
--   {'COUNTING', shop}                     what may be sold of the shop is being counted anew: nothing was done
--   {'UNCOUNTABLE', key and why}           what may be sold can't be told: nothing was done
--   {'OK', epoch, seq before, then for each change:
--     its entry ID when it is accepted, under the next seq, or in one string 'duplicate' | 'conflict', seq, entry ID,
--     or 'refused', then for each SKU that isn't covered, as in lines: SKU:wanted:available}
local function encoded(name)
  return (string.gsub(string.gsub(name, '%%', '%%25'), ' ', '%%20'))
end

-- What admission knows of the call's shops: shop → its state, its SKUs' numbers, and what the changes at `starts` ask for; nil
-- when no shop of the call has it. Or, as a second value, why the call can't be taken.
local function gate_for(head_key, args, starts, count, is_known)
  local admission_key = admission_of(head_key)
  if redis.call('EXISTS', admission_key) == 0 then return nil, missing(admission_key) end
  local shops, names = {}, {}
  for i = 1, count do
    local name = args[starts[i] + 3]
    if not shops[name] then
      shops[name] = { skus = {}, available = {}, changed = {}, wanted = {} }
      names[#names + 1] = name
    end
  end
  local states = redis.call('HMGET', admission_key, unpack(names))
  local gate
  for k, name in ipairs(names) do
    if states[k] then
      gate = gate or {}
      gate[name] = shops[name]
      shops[name].state = string.match(states[k], '^%a+')
      shops[name].is_empty = states[k] == 'on empty'
    end
  end
  if not gate then return nil end

  for i = 1, count do
    local at = starts[i]
    local shop = gate[args[at + 3]]
    if shop and not is_known(i) then
      if shop.state == 'counting' and args[at + 1] == 'order.placed' then return nil, { 'COUNTING', args[at + 3] } end
      local lines
      for k = at + 5, starts[i + 1] - 1, 2 do
        if args[k] == 'lines' then lines = args[k + 1] end
      end
      local skus, quantities = quantities_of(lines)
      if not skus then return nil, { 'UNCOUNTABLE', args[at + 2] .. ': lines' } end
      shop.wanted[i] = { skus = skus, quantities = quantities }
      for _, sku in ipairs(skus) do
        if not shop.available[sku] then
          shop.available[sku] = 0
          shop.skus[#shop.skus + 1] = sku
        end
      end
    end
  end
  for name, shop in pairs(gate) do
    local key = available_of(head_key, name)
    if shop.state == 'on' and not shop.is_empty and redis.call('EXISTS', key) == 0 then return nil, missing(key) end
    for from = 1, #shop.skus, 1000 do
      local to = math.min(from + 999, #shop.skus)
      local values = redis.pcall('HMGET', key, unpack(shop.skus, from, to))
      if values.err then return nil, { 'UNCOUNTABLE', key .. ': ' .. values.err } end
      for k, value in ipairs(values) do
        local number = value and exact(value) or 0
        if value and not exact(value) then
          return nil, { 'UNCOUNTABLE', key .. ' ' .. shop.skus[from + k - 1] .. ': not a whole number' }
        end
        shop.available[shop.skus[from + k - 1]] = number
      end
    end
  end
  return gate
end

-- Lets the change at `i` through and takes, gives back or sets what it says; what it lacks, as a reply, when it is an order that
-- isn't covered.
local function admit(shop, i, type)
  local wanted, effect = shop.wanted[i], stock_effects[type]
  if effect == 'take' and shop.state == 'on' then
    local lacking
    for _, sku in ipairs(wanted.skus) do
      local quantity, available = wanted.quantities[sku], shop.available[sku]
      if quantity > available then
        lacking = (lacking or 'refused') .. string.format(' %s:%d:%d', string.gsub(encoded(sku), ':', '%%3A'), quantity, available)
      end
    end
    if lacking then return lacking end
  end
  for _, sku in ipairs(wanted.skus) do
    local quantity = wanted.quantities[sku]
    if effect == 'take' then quantity = shop.available[sku] - quantity end
    if effect == 'give' then quantity = shop.available[sku] + quantity end
    shop.available[sku] = quantity
    shop.changed[sku] = true
  end
end

-- Writes down what may be sold now.
local function keep_available(head_key, gate)
  for name, shop in pairs(gate) do
    local values = {}
    for _, sku in ipairs(shop.skus) do
      if shop.changed[sku] then
        values[#values + 1] = sku
        values[#values + 1] = string.format('%d', shop.available[sku])
      end
    end
    for from = 1, #values, 1000 do
      redis.call('HSET', available_of(head_key, name), unpack(values, from, math.min(from + 999, #values)))
    end
    if shop.is_empty and #values > 0 then redis.call('HSET', admission_of(head_key), name, 'on') end
  end
end

local function append(keys, args)
  local head_key, log_key, seen_key, old_key = keys[1], keys[2], keys[3], keys[4]
  local log_id, partitions, window = args[1], args[2], tonumber(args[3])

  local head = redis.call('HMGET', head_key, 'log', 'partitions', 'replid', 'epoch', 'seq', 'admission')
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
  local gate, why
  if head[6] then gate, why = gate_for(head_key, args, starts, count, function(i) return seen[i] or old[i] end) end
  if why then return why end

  local call, format, match = redis.call, string.format, string.match
  local epoch, seq = head[4], tonumber(head[5])
  local reply, places, fresh = { 'OK', epoch, head[5] }, {}, {}
  for i = 1, count do
    local start, name, digest = starts[i], names[i], args[starts[i]]
    local known = seen[i] or old[i] or places[name]
    local shop = gate and not known and gate[args[start + 3]]
    local lacking = shop and admit(shop, i, args[start + 1])
    if known then
      local known_digest, place = match(known, '^(%S+) (%S+ %S+)$')
      reply[i + 3] = (known_digest == digest and 'duplicate ' or 'conflict ') .. place
    elseif lacking then
      reply[i + 3] = lacking
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
    if gate then keep_available(head_key, gate) end
    -- Who reads streams of several slots can't block on all of them: it listens.
    if in_cluster then redis.call('SPUBLISH', log_key, '') end
  end
  return reply
end
