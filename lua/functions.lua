-- The library for producers in any language. Read behind what append.lua is made of, too.
--
--   FCALL_RO onewrite_partition 1 NAMESPACE:meta SHOP
--     {partition, log ID, partitions, head, log, seen, seen:old}: a shop's partition, and the arguments of onewrite_append
--     {'nolog'} | {'rejected', 'shop', why}
--   FCALL onewrite_append 4 HEAD LOG SEEN SEEN:OLD LOG-ID PARTITIONS WINDOW FIELD VALUE …
--     appends one change, once: WINDOW is the idempotency window in milliseconds ('' for a day), the fields are those of
--     docs/protocol.md: type, id, shop, customer, order, lines ("TEA-250:2 MUG-1:1"), attributes (JSON)
--     {'accepted' | 'duplicate' | 'conflict', partition, seq, entry ID} | {'rejected', field, why}
--     {'refused', partition, then for each SKU that stock doesn't cover: SKU, wanted, available}: it is not in the log
--     {'closed'}: Redis was restarted or replaced; again, when a worker has opened the log | {'nolog'}
--     {'counting', shop}: what may be sold is being counted anew; again, in a moment | {'uncountable', why}
--     {'mismatch', log ID, partitions}: another log than the caller knows
--
-- No answer says nothing: send the same again, under the same ID.

-- Whether the log's names are UTF-8, as from format 3 on: whoever loads the library sets it.
local has_wide_names = false

-- Made at the first call: while a library is loaded there is nothing of Lua's own.
local function make()
  local byte, find, format, match, sub, floor = string.byte, string.find, string.format, string.match, string.sub, math.floor

  -- CRC16 (XMODEM), as Redis Cluster has it.
  local crc_of = {}
  for value = 0, 255 do
    local crc = value * 256
    for _ = 1, 8 do
      crc = crc >= 32768 and bit.bxor((crc * 2) % 65536, 0x1021) or crc * 2
    end
    crc_of[value] = crc
  end
  local function partition_of(shop, count)
    local crc = 0
    for index = 1, #shop do
      crc = bit.bxor((crc % 256) * 256, crc_of[bit.bxor(floor(crc / 256), byte(shop, index))])
    end
    return crc % count
  end

  -- FNV-1a with 128 bits, in four parts of 32; the prime is 2^88 + 0x13b.
  local function digest(change)
    local a, b, c, d = 0x6c62272e, 0x07bb0142, 0x62b82175, 0x6295c58d
    local bxor, part = bit.bxor, 4294967296
    local function add(value)
      local low = d % 256
      d = d - low + bxor(low, value)
      local up, over, top = (d % 256) * 16777216, floor(d / 256), (c % 256) * 16777216
      d = d * 315
      local carry = floor(d / part)
      d = d - carry * part
      c = c * 315 + carry
      carry = floor(c / part)
      c = c - carry * part
      b = b * 315 + up + carry
      carry = floor(b / part)
      b = b - carry * part
      a = (a * 315 + over + top + carry) % part
    end
    for _, name in ipairs({ 'type', 'customer', 'order', 'lines', 'attributes' }) do
      local text = change[name]
      if text then
        add(1)
        for index = 1, #text do add(byte(text, index)) end
      end
      add(0)
    end
    return struct.pack('>I4I4I4I4', a, b, c, d)
  end

  -- Where the window has a name: FNV-1a with 32 bits of all but its last byte, folded into 20, so that IDs which count up share
  -- a bucket.
  local function hash_of(name)
    local hash = 0x811c9dc5
    for index = 1, #name - 1 do
      local low = hash % 256
      hash = hash - low + bit.bxor(low, byte(name, index))
      hash = (hash * 403 + hash % 256 * 16777216) % 4294967296
    end
    return bit.bxor(hash % 1048576, floor(hash / 1048576))
  end

  -- Whether a text is UTF-8.
  local function is_utf8(text)
    local at = find(text, '[\128-\255]')
    while at do
      local lead, second, third, fourth = byte(text, at, at + 3)
      local function follows(value, least, most) return value and value >= (least or 0x80) and value <= (most or 0xBF) end
      if lead >= 0xC2 and lead <= 0xDF and follows(second) then
        at = at + 2
      elseif lead >= 0xE0 and lead <= 0xEF and follows(third)
        and follows(second, lead == 0xE0 and 0xA0, lead == 0xED and 0x9F) then
        at = at + 3
      elseif lead >= 0xF0 and lead <= 0xF4 and follows(third) and follows(fourth)
        and follows(second, lead == 0xF0 and 0x90, lead == 0xF4 and 0x8F) then
        at = at + 4
      else
        return false
      end
      at = find(text, '[\128-\255]', at)
    end
    return true
  end

  local function refuse(field, why) error({ field = field, why = why }, 0) end

  -- What a name has nowhere, and what it has at neither end: NameRule.swift says why.
  local invisible = { 0x00, 0x1F, 0x7F, 0x9F, 0xAD, 0xAD, 0x600, 0x605, 0x61C, 0x61C, 0x6DD, 0x6DD, 0x70F, 0x70F,
    0x890, 0x891, 0x8E2, 0x8E2, 0x180E, 0x180E, 0x200B, 0x200F, 0x2028, 0x202E, 0x2060, 0x206F, 0xFEFF, 0xFEFF,
    0xFFF9, 0xFFFB, 0x110BD, 0x110BD, 0x110CD, 0x110CD, 0x13430, 0x1343F, 0x1BCA0, 0x1BCA3, 0x1D173, 0x1D17A,
    0xE0000, 0xE007F }
  local blanks = { 0x20, 0x20, 0xA0, 0xA0, 0x1680, 0x1680, 0x2000, 0x200A, 0x202F, 0x202F, 0x205F, 0x205F, 0x3000, 0x3000 }
  local function is_in(ranges, code)
    for index = 1, #ranges, 2 do
      if code >= ranges[index] and code <= ranges[index + 1] then return true end
    end
    return false
  end
  local name_rule = '1 to 128 bytes of UTF-8 without invisible characters, and no blank at either end'
  local function is_name(text)
    if #text < 1 or #text > 128 or not is_utf8(text) then return false end
    local at = 1
    while at <= #text do
      local lead, second, third, fourth = byte(text, at, at + 3)
      local code, length
      if lead < 0x80 then
        code, length = lead, 1
      elseif lead < 0xE0 then
        code, length = lead % 32 * 64 + second % 64, 2
      elseif lead < 0xF0 then
        code, length = (lead % 16 * 64 + second % 64) * 64 + third % 64, 3
      else
        code, length = ((lead % 8 * 64 + second % 64) * 64 + third % 64) * 64 + fourth % 64, 4
      end
      if is_in(invisible, code) then return false end
      if (at == 1 or at + length > #text) and is_in(blanks, code) then return false end
      at = at + length
    end
    return true
  end

  local function check_identifier(field, text)
    if not text then refuse(field, 'is missing') end
    if has_wide_names then
      if not is_name(text) then refuse(field, 'expected ' .. name_rule) end
    elseif #text < 1 or #text > 128 or find(text, '[^A-Za-z0-9._:/-]') then
      refuse(field, 'expected 1 to 128 of A-Z a-z 0-9 . _ : / -')
    end
  end

  -- A SKU as it stands in lines: what would part them is percent-encoded, and nothing else.
  local escaped = { ['%25'] = '%', ['%20'] = ' ', ['%3A'] = ':' }
  local function check_sku(text)
    if not has_wide_names then
      if #text < 1 or #text > 64 or find(text, '[^A-Za-z0-9._-]') then
        refuse('sku', 'expected 1 to 64 of A-Z a-z 0-9 . _ -')
      end
      return
    end
    local is_wrong = false
    local sku = string.gsub(text, '%%.?.?', function(escape)
      is_wrong = is_wrong or not escaped[escape]
      return escaped[escape]
    end)
    if is_wrong then refuse('sku', 'expected no % but as %25, %20 for a blank or %3A for a colon') end
    if not is_name(sku) then refuse('sku', 'expected ' .. name_rule) end
  end

  local function check_customer(text)
    if not text then refuse('customer', 'is missing') end
    if #text < 1 or #text > 256 or find(text, '[%z\1-\31\127]') or find(text, '\194[\128-\159]') then
      refuse('customer', 'expected 1 to 256 bytes without control characters')
    end
  end

  -- A whole number in its one canonical form; nil for anything else.
  local function whole_number(text)
    if #text < 1 or #text > 15 or find(text, '[^0-9]') or (#text > 1 and byte(text) == 48) then return nil end
    return tonumber(text)
  end

  local function check_lines(text, is_count)
    if not text then refuse('lines', 'is missing') end
    local least, most = is_count and 0 or 1, is_count and 1e12 or 1e6
    local sums, count, at = {}, 0, 1
    while true do
      count = count + 1
      local stop = find(text, ' ', at, true) or #text + 1
      local word = sub(text, at, stop - 1)
      local sku, number = match(word, '^([^:]*):(.*)$')
      if not sku or number == '' and sku == '' then refuse('lines', 'expected SKU:quantity parted by one space') end
      check_sku(sku)
      local quantity = whole_number(number)
      if not quantity or quantity < least or quantity > most then
        refuse('quantity', format('expected a whole number from %d to %.0f', least, most))
      end
      if count > 100 then refuse('lines', 'expected 1 to 100 lines') end
      if sums[sku] and is_count then refuse('lines', 'a SKU is there twice: a count says of each once how many there are') end
      sums[sku] = (sums[sku] or 0) + quantity
      if sums[sku] > most then refuse('quantity', 'a SKU sums to more than a line may have') end
      if stop > #text then return end
      at = stop + 1
    end
  end

  -- JSON that Postgres's jsonb can hold, an object, at most 32 levels deep.
  local function check_attributes(text)
    local function wrong(what, at) refuse('attributes', what .. ', at byte ' .. format('%d', at)) end
    if #text > 16384 then refuse('attributes', 'expected at most 16384 bytes') end
    local function skip(at) return find(text, '[^ \n\r\t]', at) or #text + 1 end
    local function code_unit(at)
      local digits = match(text, '^\\u(%x%x%x%x)', at)
      return digits and tonumber(digits, 16)
    end
    local function string_end(at)
      local from = at + 1
      while true do
        local stop = find(text, '[%z\1-\31"\\]', from)
        if not stop then wrong('ends within a string', #text + 1) end
        local char = byte(text, stop)
        if char == 34 then return stop + 1 end
        if char ~= 92 then wrong('has a control character within a string', stop) end
        if find(text, '^["\\/bfnrt]', stop + 1) then
          from = stop + 2
        else
          local unit = code_unit(stop)
          if not unit then wrong('has an unknown escape', stop) end
          if unit == 0 then wrong('has a \\u0000, which Postgres can\'t hold', stop) end
          from = stop + 6
          if unit >= 0xDC00 and unit < 0xE000 then wrong('has half of a surrogate pair', stop) end
          if unit >= 0xD800 and unit < 0xDC00 then
            local low = code_unit(from)
            if not low or low < 0xDC00 or low >= 0xE000 then wrong('has half of a surrogate pair', stop) end
            from = from + 6
          end
        end
      end
    end
    local function number_end(at)
      local _, stop, whole = find(text, '^-?(%d+)', at)
      if not stop then wrong('expected a digit', at + 1) end
      if #whole > 1 and byte(whole) == 48 then wrong('has a number with a leading zero', at) end
      local digits, exponent = 0, 0
      if byte(text, stop + 1) == 46 then
        local _, last = find(text, '^%d+', stop + 2)
        if not last then wrong('expected a digit', stop + 2) end
        digits = last - stop - 1
        stop = last
      end
      if find(text, '^[eE]', stop + 1) then
        local _, last, sign, value = find(text, '^([+-]?)(%d+)', stop + 2)
        if not last then wrong('expected a digit', stop + 2) end
        exponent = tonumber(value) * (sign == '-' and -1 or 1)
        stop = last
      end
      if math.abs(exponent) > 308 or digits - exponent > 16383 then
        wrong('has a number that is too large or too small', at)
      end
      return stop + 1
    end
    local function scalar_end(at)
      local char = byte(text, at)
      if char == 34 then return string_end(at) end
      if char == 45 or (char >= 48 and char <= 57) then return number_end(at) end
      local _, stop = find(text, '^true', at)
      if not stop then _, stop = find(text, '^false', at) end
      if not stop then _, stop = find(text, '^null', at) end
      if not stop then wrong('expected a value', at) end
      return stop + 1
    end
    local at, depth, open, expected = skip(1), 0, {}, 'value'
    if byte(text, at) ~= 123 then refuse('attributes', 'expected a JSON object') end
    repeat
      at = skip(at)
      local char = byte(text, at)
      if not char then wrong('ends too early', at) end
      local wants_value = expected == 'value' or expected == 'value or end'
      if (char == 123 or char == 91) and wants_value then
        if depth >= 32 then wrong('nests deeper than 32', at) end
        depth = depth + 1
        open[depth] = char
        expected = char == 123 and 'key or end' or 'value or end'
        at = at + 1
      elseif (char == 125 and (expected == 'key or end' or (expected == 'comma or end' and open[depth] == 123)))
        or (char == 93 and (expected == 'value or end' or (expected == 'comma or end' and open[depth] == 91))) then
        depth = depth - 1
        expected = 'comma or end'
        at = at + 1
      elseif char == 44 and expected == 'comma or end' then
        expected = open[depth] == 123 and 'key' or 'value'
        at = at + 1
      elseif char == 34 and (expected == 'key' or expected == 'key or end') then
        at = skip(string_end(at))
        if byte(text, at) ~= 58 then wrong('expected a colon', at) end
        at = at + 1
        expected = 'value'
      elseif wants_value then
        at = scalar_end(at)
        expected = 'comma or end'
      elseif expected == 'comma or end' then
        wrong('expected a comma or a closing bracket', at)
      else
        wrong('expected a name in quotes', at)
      end
    until depth == 0
    at = skip(at)
    if at <= #text then wrong('expected nothing behind the object', at) end
  end

  local fields = { 'type', 'id', 'shop', 'customer', 'order', 'lines', 'attributes' }
  local is_field = {}
  for _, name in ipairs(fields) do is_field[name] = true end
  -- What a change of a type has beside id, shop and lines.
  local optional = {
    ['order.placed'] = { customer = true, attributes = true },
    ['order.cancelled'] = { order = true },
    ['order.returned'] = { order = true },
    ['stock.received'] = {},
    ['stock.counted'] = {},
  }

  -- The change that fields and values from an index on name; ends with an error when it can't be taken.
  local function checked(args, from)
    local change = {}
    for index = from, #args, 2 do
      local name, value = args[index], args[index + 1]
      if not is_field[name] then refuse(sub(name, 1, 64), 'is not a field of any change') end
      if change[name] then refuse(name, 'is there twice') end
      if not value then refuse(name, 'has no value') end
      if not is_utf8(value) then refuse(name, 'is not UTF-8') end
      change[name] = value
    end
    if not change.type then refuse('type', 'is missing') end
    local own = optional[change.type]
    if not own or change.type == 'order.returned' and not has_wide_names then
      refuse('type', 'expected one of order.placed, order.cancelled, order.returned, stock.received, stock.counted')
    end
    local is_return = change.type == 'order.returned'
    check_identifier('shop', change.shop)
    if own.order then
      check_identifier('order', change.order)
      change.id = change.id or not is_return and change.order .. '/cancel' or nil
      if not change.id then refuse('id', 'is missing') end
    end
    -- A cancellation's is as long as its order's and a little more.
    if not own.order or not has_wide_names then check_identifier('id', change.id) end
    if is_return then
      local prefix = change.order .. '/return/'
      local number = sub(change.id, 1, #prefix) == prefix and sub(change.id, #prefix + 1)
      if not number or #number > 6 or not find(number, '^[1-9]%d*$') then
        refuse('id', 'expected ' .. prefix .. 'N, N the how manieth return it is, from 1 to 999999')
      end
    elseif own.order and change.id ~= change.order .. '/cancel' then
      refuse('id', 'expected ' .. change.order .. '/cancel, the cancellation\'s own ID')
    end
    if own.customer then check_customer(change.customer) end
    for _, name in ipairs({ 'customer', 'order', 'attributes' }) do
      if change[name] and not own[name] then refuse(name, 'does not belong to ' .. change.type) end
    end
    if change.attributes then check_attributes(change.attributes) end
    check_lines(change.lines, change.type == 'stock.counted')
    return change
  end

  local function append_change(keys, args)
    if #keys ~= 4 or #args < 3 or not tonumber(args[2]) then
      return redis.error_reply('ERR onewrite_append takes what onewrite_partition returns, then fields and values')
    end
    local is_right, change = pcall(checked, args, 4)
    if not is_right then
      -- A mistake of ours is no table.
      if type(change) ~= 'table' or not change.why then return redis.error_reply('ERR ' .. tostring(change)) end
      return { 'rejected', change.field, change.why }
    end
    local partition = format('%d', partition_of(change.shop, tonumber(args[2])))
    if match(keys[1], ':(%d+)}:head$') ~= partition then
      return { 'rejected', 'shop', 'belongs to partition ' .. partition .. ', not to ' .. sub(keys[1], 1, 128) }
    end
    local window = args[3] == '' and '86400000' or args[3]
    if not whole_number(window) or tonumber(window) < 60000 then
      return redis.error_reply('ERR the window is in milliseconds, 60000 or more')
    end
    local names, values = {}, {}
    for _, name in ipairs({ 'customer', 'order', 'lines', 'attributes' }) do
      if change[name] then
        names[#names + 1], values[#values + 1] = name, change[name]
      end
    end
    local hash = hash_of(encoded(change.shop) .. ' ' .. encoded(change.id))
    local call = { args[1], args[2], window, has_wide_names and '1' or '', '1', change.type, change.shop, '1', #names }
    for _, part in ipairs({ names, { '1', hash, '1', digest(change), change.id }, values }) do
      for _, text in ipairs(part) do call[#call + 1] = text end
    end
    local reply = append(keys, call)
    if reply[1] == 'MISMATCH' then return { 'mismatch', reply[2], reply[3] } end
    if reply[1] ~= 'OK' then return { string.lower(reply[1]), reply[2] } end
    if match(reply[4], '^refused ') then
      local refused = { 'refused', partition }
      for sku, wanted, available in string.gmatch(reply[4], ' ([^ :]+):(%d+):(-?%d+)') do
        refused[#refused + 1] = string.gsub(sku, '%%..', escaped)
        refused[#refused + 1] = wanted
        refused[#refused + 1] = available
      end
      return refused
    end
    local outcome, seq, entry = match(reply[4], '^(%a+) (%d+) (%S+)$')
    if not outcome then
      outcome, seq, entry = 'accepted', format('%d', tonumber(reply[3]) + 1), reply[4]
    end
    return { outcome, partition, seq, entry }
  end

  local function find_partition(keys, args)
    local namespace, shop = match(keys[1] or '', '^(.+):meta$'), args[1]
    if not namespace or #args ~= 1 then
      return redis.error_reply('ERR onewrite_partition takes the key NAMESPACE:meta and a shop')
    end
    local is_right, problem = pcall(check_identifier, 'shop', shop)
    if not is_right then return { 'rejected', problem.field, problem.why } end
    local meta = redis.call('HMGET', keys[1], 'log', 'partitions')
    if not meta[1] or not meta[2] then return { 'nolog' } end
    local partition = format('%d', partition_of(shop, tonumber(meta[2])))
    local tag = '{' .. namespace .. ':' .. partition .. '}:'
    return { partition, meta[1], meta[2], tag .. 'head', tag .. 'log', tag .. 'seen', tag .. 'seen:old' }
  end

  return { append_change, find_partition }
end

local made
local function run(index)
  return function(keys, args)
    made = made or make()
    return made[index](keys, args)
  end
end

redis.register_function('onewrite_append', run(1))
redis.register_function({ function_name = 'onewrite_partition', callback = run(2), flags = { 'no-writes' } })
