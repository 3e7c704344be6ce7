#!lua flags=allow-oom
-- Counts what may be sold of some SKUs of a shop, or compares it: stock, and on it what the log has behind stock's position.
--
-- Guarantee: all of one moment, under one history. What is told of an entry comes from its seq, not from its ID.
--
-- KEYS  head  log  position of stock  stock hash  admission  available
-- ARGV  epoch, replid, shop, the most entries to look at, 'known' | 'count' | 'compare', then SKUs
-- Returns {'HISTORY'} | {'OFF'}
--       | {'BEHIND', number of entries that stock has yet to apply}
--       | {'UNCOUNTABLE', key or entry and why}
--       | {'KNOWN', the SKUs that those entries have}
--       | {'COUNTED'}
--       | {'COMPARED', then for each SKU that differs: SKU, right, found}
local head_key, log_key, position_key, stock_key, admission_key, available_key =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local epoch, replid, shop, most, wish = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local first_sku = 6

local head_seq = seq_under(head_key, epoch, replid)
if not head_seq then return { 'HISTORY' } end
if redis.call('HEXISTS', admission_key, shop) == 0 then return { 'OFF' } end
local position = tonumber(redis.call('HGET', position_key, 'seq') or '0')
local behind = tonumber(head_seq) - position
if behind > most then return { 'BEHIND', string.format('%d', behind) } end

-- Backwards from the end; among them may be some that were added by hand, and have no place.
local tail, wanted = {}, tonumber(head_seq)
local entries = behind > 0 and redis.call('XREVRANGE', log_key, '+', '-', 'COUNT', behind + most) or {}
for _, entry in ipairs(entries) do
  local named = {}
  for k = 1, #entry[2] - 1, 2 do named[entry[2][k]] = entry[2][k + 1] end
  if named.seq == string.format('%d', wanted) and wanted > position then
    wanted = wanted - 1
    if named.shop == shop then
      local skus, quantities = quantities_of(named.lines)
      local effect = stock_effects[named.type]
      if not skus or not effect then return { 'UNCOUNTABLE', entry[1] .. ': no change' } end
      tail[#tail + 1] = { effect = effect, skus = skus, quantities = quantities }
    end
  end
end
if wanted > position then return { 'BEHIND', string.format('%d', behind) } end

if wish == 'known' then
  local reply, is_there = { 'KNOWN' }, {}
  for _, change in ipairs(tail) do
    for _, sku in ipairs(change.skus) do
      if not is_there[sku] then reply[#reply + 1] = sku end
      is_there[sku] = true
    end
  end
  return reply
end

local skus, right = {}, {}
for k = first_sku, #ARGV do skus[#skus + 1] = ARGV[k] end
if #skus == 0 then return { wish == 'count' and 'COUNTED' or 'COMPARED' } end
local on_hand = redis.pcall('HMGET', stock_key, unpack(skus))
if on_hand.err then return { 'UNCOUNTABLE', stock_key .. ': ' .. on_hand.err } end
local found = redis.pcall('HMGET', available_key, unpack(skus))
if found.err then return { 'UNCOUNTABLE', available_key .. ': ' .. found.err } end
for k, sku in ipairs(skus) do
  if on_hand[k] and not exact(on_hand[k]) then return { 'UNCOUNTABLE', stock_key .. ' ' .. sku .. ': not a whole number' } end
  right[sku] = tonumber(on_hand[k] or '0')
end
for at = #tail, 1, -1 do
  local change = tail[at]
  for _, sku in ipairs(change.skus) do
    if right[sku] then
      local quantity = change.quantities[sku]
      right[sku] = change.effect == 'set' and quantity or right[sku] + (change.effect == 'take' and -quantity or quantity)
    end
  end
end

if wish == 'count' then
  local values = {}
  for _, sku in ipairs(skus) do
    values[#values + 1] = sku
    values[#values + 1] = string.format('%d', right[sku])
  end
  redis.call('HSET', available_key, unpack(values))
  return { 'COUNTED' }
end
local reply = { 'COMPARED' }
for k, sku in ipairs(skus) do
  local text = string.format('%d', right[sku])
  if (found[k] or '0') ~= text then
    reply[#reply + 1] = sku
    reply[#reply + 1] = text
    reply[#reply + 1] = found[k] or 'nothing'
  end
end
return reply
