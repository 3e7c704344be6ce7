#!lua flags=allow-oom
-- Applies a folded batch to the stock counters, moves the position and acknowledges, in one step.
--
-- Guarantee: all of it or nothing; history, token and seq are checked here; everything is checked before the first write.
--
-- KEYS  head  log  position  dead letters  shops  then a stock hash for each shop
-- ARGV  as sink.lua reads them, then for each shop, in the order of KEYS:
--       shop, number n of SKUs, then n times: 'add' | 'set', SKU, quantity, the SKU's weight in the sum
-- Returns {'HISTORY'} | {'FENCED', token, owner} | {'DUPLICATE', seq} | {'GAP', seq}
--       | {'STALLED', why}                 a counter that can't be counted on: not a hash, not a whole number
--       | {'APPLIED'}
local head_key, log_key, position_key, dead_key, shops_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local first_shop = 6
-- StockSum.swift: products of two numbers below it are exact in a double.
local modulus = 67108859

local batch = batch_arguments()
local refused = refusal(batch, head_key, log_key, position_key, dead_key)
if refused then return refused end

local stalled = wrong_type(shops_key, 'set')
if stalled then return stalled end

local at = batch.rest
local shops, names = {}, {}
for index = first_shop, #KEYS do
  local shop = { key = KEYS[index], sets = {}, adds = {}, skus = {}, from = at + 2 }
  names[#names + 1] = ARGV[at]
  local count = tonumber(ARGV[at + 1])
  for k = at + 2, at + 1 + 4 * count, 4 do
    local list = ARGV[k] == 'set' and shop.sets or shop.adds
    list[#list + 1] = ARGV[k + 1]
    list[#list + 1] = ARGV[k + 2]
    shop.skus[#shop.skus + 1] = ARGV[k + 1]
  end
  at = at + 2 + 4 * count
  shops[#shops + 1] = shop
end

local has_admission = #batch.dead > 0 and redis.call('HMGET', head_key, 'admission')[1]
if has_admission and redis.call('EXISTS', admission_of(head_key)) == 0 then
  return { 'STALLED', admission_of(head_key) .. ': not there' }
end

local sum = batch.sum
for _, shop in ipairs(shops) do
  -- In slices: unpack has room for some thousands.
  for from = 1, #shop.skus, 1000 do
    local to = math.min(from + 999, #shop.skus)
    local values = redis.pcall('HMGET', shop.key, unpack(shop.skus, from, to))
    if values.err then return { 'STALLED', shop.key .. ': ' .. values.err } end
    for k, value in ipairs(values) do
      if value and not exact(value) then
        return { 'STALLED', shop.key .. ' ' .. shop.skus[from + k - 1] .. ': not a whole number that can be counted on' }
      end
      if sum then
        local step = shop.from + 4 * (from + k - 2)
        local change = tonumber(ARGV[step + 2])
        if value and ARGV[step] == 'set' then change = change - tonumber(value) end
        sum = (sum + ARGV[step + 3] * (change % modulus)) % modulus
      end
    end
  end
end

-- Where the sum is counted again, these are the shops to look at.
for from = 1, #names, 1000 do redis.call('SADD', shops_key, unpack(names, from, math.min(from + 999, #names))) end
for _, shop in ipairs(shops) do
  for k = 1, #shop.sets, 1000 do
    redis.call('HSET', shop.key, unpack(shop.sets, k, math.min(k + 999, #shop.sets)))
  end
  for k = 1, #shop.adds, 2 do
    redis.call('HINCRBY', shop.key, shop.adds[k], shop.adds[k + 1])
  end
end
-- What is set aside isn't taken from the stock, or given back, although it was when it came into the log.
for _, letter in ipairs(has_admission and batch.dead or {}) do
  for k = letter.from, letter.to - 1, 2 do
    if letter.placed and ARGV[k] == 'shop' then count_anew(head_key, ARGV[k + 1]) end
  end
end
return finish(batch, log_key, position_key, dead_key, sum)
