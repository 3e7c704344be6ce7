-- Admission: a shop's orders are taken only as far as its stock covers them. Read behind history.lua, ahead of the scripts that
-- change what may still be sold.
--
-- `…:admission` has the shops that want it: 'on', or 'on empty' as long as they have no SKU; 'starting MICROSECONDS' while it is
-- counted for the first time, and no order is refused yet; 'counting MICROSECONDS' while it is counted anew, and orders wait. The
-- head's field `admission` says that there are any: while a cluster's slot is moved key by key, one of these keys may be elsewhere,
-- and must not be taken for one that isn't.
--
-- `…:available:<shop>` has SKU → what may still be sold: stock as it will be when all that is in the log is applied. Both keys'
-- names come from the head's, in the same slot, so that those who append needn't name a key for each shop.

local function admission_of(head_key) return (string.gsub(head_key, 'head$', 'admission')) end
local function available_of(head_key, shop) return string.sub(head_key, 1, -5) .. 'available:' .. shop end

-- What a change of a type does to the stock of its lines' SKUs.
local stock_effects = {
  ['order.placed'] = 'take', ['order.cancelled'] = 'give', ['order.returned'] = 'give',
  ['stock.received'] = 'give', ['stock.counted'] = 'set',
}

local unescaped = { ['%25'] = '%', ['%20'] = ' ', ['%3A'] = ':' }

-- The SKUs of `lines`, each once, and SKU → quantity; nil when it is no such text.
local function quantities_of(lines)
  local skus, quantities = {}, {}
  for word in string.gmatch(lines or '', '[^ ]+') do
    local sku, number = string.match(word, '^([^:]+):(%d+)$')
    if not sku or #number > 15 then return nil end
    if string.find(sku, '%', 1, true) then sku = string.gsub(sku, '%%..', unescaped) end
    if not quantities[sku] then skus[#skus + 1] = sku end
    quantities[sku] = (quantities[sku] or 0) + tonumber(number)
  end
  if #skus == 0 then return nil end
  return skus, quantities
end

-- A whole number in its one form that a double holds, as a number; nil for another text.
local function exact(value)
  local number = string.match(value, '^%-?%d+$') and tonumber(value)
  return number and math.abs(number) < 9007199254740992 and string.format('%d', number) == value and number or nil
end

-- That a key of admission is missing which must be there, as the script's reply.
local function missing(key) return { 'UNCOUNTABLE', key .. ': not there' } end

-- What may be sold from here on is to be counted anew: orders of the shop wait for that.
local function count_anew(head_key, shop)
  local admission_key = admission_of(head_key)
  if redis.call('HEXISTS', admission_key, shop) == 0 then return end
  local time = redis.call('TIME')
  redis.call('HSET', admission_key, shop, 'counting ' .. time[1] .. string.format('%06d', time[2]))
end

-- The same for all shops of the partition that want it.
local function count_all_anew(head_key)
  if not redis.call('HMGET', head_key, 'admission')[1] then return end
  for _, shop in ipairs(redis.call('HKEYS', admission_of(head_key))) do count_anew(head_key, shop) end
end

-- An entry that was taken once is put back into the log: what may be sold follows, whatever it is. Among fields by turns.
local function follow(head_key, fields, from, to)
  local named = {}
  for k = from, to - 1, 2 do named[fields[k]] = fields[k + 1] end
  local effect, shop = stock_effects[named.type], named.shop
  if not effect or redis.call('HEXISTS', admission_of(head_key), shop) == 0 then return end
  local key = available_of(head_key, shop)
  local skus, quantities = quantities_of(named.lines)
  local is_right = skus ~= nil
  for _, sku in ipairs(skus or {}) do
    local quantity = string.format('%d', quantities[sku])
    local reply
    if effect == 'set' then
      reply = redis.pcall('HSET', key, sku, quantity)
    else
      reply = redis.pcall('HINCRBY', key, sku, (effect == 'take' and '-' or '') .. quantity)
    end
    if type(reply) == 'table' and reply.err then is_right = false end
  end
  if redis.call('HGET', admission_of(head_key), shop) == 'on empty' then
    redis.call('HSET', admission_of(head_key), shop, 'on')
  end
  if not is_right then count_anew(head_key, shop) end
end
