-- Appends changes of one partition to its log: all that are new, in the order given. Read behind history.lua, admitting.lua and
-- window.lua, ahead of append.lua and of functions.lua.
--
-- Guarantee: a change ID is in the log once within the window, also when it is repeated within the call. Where admission is on, an
-- order goes in only if every line of it is covered, and takes what it gets in the same step. Every check comes before the first
-- write.
--
-- keys  head  log  seen  seen:old          (and the window's buckets, in the same slot)
-- args  log ID, partitions, window (ms), '1' when the window may be in buckets (from format 3 on),
--       number of shapes, then for each: type, shop, '1' when its change IDs are encoded in the window's names ('' when that
--       changes nothing), number of fields that follow, their names;
--       then in groups, of changes that follow each other, of one shape and one hash:
--       number of the shape, hash of "<shop> <change ID>" without its last byte, number of changes,
--       then for each: payload digest (16 bytes), change ID, values of the shape's fields
-- Returns
--   {'NOLOG'}                              there is no head: never created on the way
--   {'MISMATCH', log ID, partitions}       another log than the caller knows
--   {'CLOSED'}                             the server's history is not the head's, or it is not a master
--   {'COUNTING', shop}                     what may be sold of the shop is being counted anew: nothing was done
--   {'UNCOUNTABLE', key and why}           what may be sold can't be told: nothing was done
--   {'OK', epoch, seq before, a line for each change:
--     its entry ID when it is accepted, under the next seq, or 'duplicate' | 'conflict', seq, entry ID,
--     or 'refused', then for each SKU that isn't covered, as in lines: SKU:wanted:available}
local function encoded(name)
  return (string.gsub(string.gsub(name, '%%', '%%25'), ' ', '%%20'))
end

-- What admission knows of the call's shops: shop → its state, its SKUs' numbers, and what the changes of `groups` ask for; nil
-- when no shop of the call has it. Or, as a second value, why the call can't be taken.
local function gate_for(head_key, args, shapes, groups, known)
  local admission_key = admission_of(head_key)
  if redis.call('EXISTS', admission_key) == 0 then return nil, missing(admission_key) end
  local shops, names = {}, {}
  for _, shape in ipairs(shapes) do
    local name = shape.shop
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

  for _, group in ipairs(groups) do
    local shape = group.shape
    local shop = gate[shape.shop]
    for i = group.from, shop and group.to or 0 do
      if not known[i] then
        if shop.state == 'counting' and shape.type == 'order.placed' then return nil, { 'COUNTING', shape.shop } end
        local at = group.at + (i - group.from) * shape.step
        local lines
        for k = 1, shape.fields do
          if args[shape.names + k] == 'lines' then lines = args[at + 1 + k] end
        end
        local skus, quantities = quantities_of(lines)
        if not skus then return nil, { 'UNCOUNTABLE', args[at + 1] .. ': lines' } end
        shop.wanted[i] = { skus = skus, quantities = quantities }
        for _, sku in ipairs(skus) do
          if not shop.available[sku] then
            shop.available[sku] = 0
            shop.skus[#shop.skus + 1] = sku
          end
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

-- The shapes of the call's changes, and where in args the groups begin.
local function shapes_in(args)
  local shapes, at = {}, 6
  for k = 1, tonumber(args[5]) do
    local fields = tonumber(args[at + 3])
    shapes[k] = {
      type = args[at], shop = args[at + 1], prefix = encoded(args[at + 1]) .. ' ', is_encoded = args[at + 2] == '1',
      fields = fields, names = at + 3, first = args[at + 4], second = args[at + 5], step = fields + 2,
    }
    at = at + 4 + fields
  end
  return shapes, at
end

-- Appends the change at `at`, of any number of fields; its entry's ID.
local function add(log_key, epoch, seq, shape, args, at)
  local fields = {}
  for k = 1, shape.fields do
    fields[2 * k - 1], fields[2 * k] = args[shape.names + k], args[at + 1 + k]
  end
  return redis.call('XADD', log_key, '*', 'epoch', epoch, 'seq', seq, 'type', shape.type, 'id', args[at + 1],
    'shop', shape.shop, unpack(fields))
end

local function append(keys, args)
  local head_key, log_key, seen_key, old_key = keys[1], keys[2], keys[3], keys[4]
  local log_id, partitions, age_most, may_divide = args[1], args[2], tonumber(args[3]), args[4] == '1'

  local head = redis.call('HMGET', head_key, 'log', 'partitions', 'replid', 'epoch', 'seq', 'admission')
  if not head[5] then return { 'NOLOG' } end
  if head[1] ~= log_id or head[2] ~= partitions then return { 'MISMATCH', head[1] or '', head[2] or '' } end
  local replid, is_master, in_cluster = server()
  if not is_master or replid ~= head[3] then return { 'CLOSED' } end

  -- The names under which the window knows the changes: "<shop> <change ID>", with what could be taken for the blank between
  -- them percent-encoded. And what it remembers of each.
  local shapes, at = shapes_in(args)
  local window = window_at(seen_key)
  local groups, names, known, count = {}, {}, {}, 0
  while at <= #args do
    local shape, hash, from = shapes[tonumber(args[at])], tonumber(args[at + 1]), count + 1
    local key = window_key(window, hash, seen_key)
    count = count + tonumber(args[at + 2])
    groups[#groups + 1] = { shape = shape, hash = hash, key = key, from = from, to = count, at = at + 3 }
    local prefix, step = shape.prefix, shape.step
    at = at + 4
    for i = from, count do
      names[i] = prefix .. (shape.is_encoded and encoded(args[at]) or args[at])
      at = at + step
    end
    at = at - 1
    if window then
      look_up(key, names, from, count, known)
      if window.before ~= '-' then
        look_up(window_key_before(window, hash, seen_key, old_key), names, from, count, known)
      end
    end
  end
  if count == 0 then return { 'OK', head[4], head[5], '' } end
  if not window then
    look_up(seen_key, names, 1, count, known)
    -- Asked only when it is there: most of the time it isn't, and then each name would cost a reply.
    if redis.call('EXISTS', old_key) == 1 then look_up(old_key, names, 1, count, known) end
  end
  local gate, why
  if head[6] then gate, why = gate_for(head_key, args, shapes, groups, known) end
  if why then return why end

  local has_turned = false
  for i = 1, count do
    if not known[i] then
      window, has_turned = turned(window, seen_key, old_key, tonumber(head[5]), age_most, may_divide)
      break
    end
  end

  local call, format, epoch, seq = redis.call, string.format, head[4], tonumber(head[5])
  local results, places, fresh, fresh_count = {}, {}, {}, 0
  for _, group in ipairs(groups) do
    local shape, at, fresh_from = group.shape, group.at, fresh_count + 1
    local type, shop_name, first, second = shape.type, shape.shop, shape.first, shape.second
    local shop = gate and gate[shop_name]
    for i = group.from, group.to do
      local name, digest = names[i], args[at]
      local before = known[i] or places[name]
      local lacking = shop and not before and admit(shop, i, type)
      if before then
        local digest_before, place = told(before)
        results[i] = (digest_before == digest and 'duplicate ' or 'conflict ') .. place
      elseif lacking then
        results[i] = lacking
      else
        seq = seq + 1
        local place = format('%d', seq)
        local entry
        if shape.fields == 2 then -- as nearly all have; a list of them takes time
          entry = call('XADD', log_key, '*', 'epoch', epoch, 'seq', place, 'type', type, 'id', args[at + 1],
            'shop', shop_name, first, args[at + 2], second, args[at + 3])
        else
          entry = add(log_key, epoch, place, shape, args, at)
        end
        local record = record_of(window, digest, place, entry)
        places[name] = record
        fresh_count = fresh_count + 2
        fresh[fresh_count - 1], fresh[fresh_count] = name, record
        results[i] = entry
      end
      at = at + shape.step
    end
    if window and fresh_count >= fresh_from then
      local key = has_turned and window_key(window, group.hash, seen_key) or group.key
      call('HSET', key, unpack(fresh, fresh_from, fresh_count))
    end
  end
  if not window and fresh_count > 0 then redis.call('HSET', seen_key, unpack(fresh)) end

  -- Also when all were known: WAIT and WAITAOF wait for what their connection wrote, from 7.2 on not for what it read.
  redis.call('HSET', head_key, 'seq', format('%d', seq))
  if fresh_count > 0 then
    if gate then keep_available(head_key, gate) end
    -- Who reads streams of several slots can't block on all of them: it listens.
    if in_cluster then redis.call('SPUBLISH', log_key, '') end
  end
  return { 'OK', epoch, head[5], table.concat(results, '\n') }
end
