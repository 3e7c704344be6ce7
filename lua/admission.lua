#!lua
-- Turns a shop's admission on or off, or says that it is counted: a compare-and-set.
--
-- Guarantee: under the history that the caller looked at.
--
-- KEYS  head  admission  available
-- ARGV  epoch, replid, shop, then 'on': unless it is, it is counted for the first time, and refuses nothing yet
--       | 'off' | 'anew': it is counted anew, and orders wait | 'counted', state as read: it is on, if the state is that one still
-- Returns {'HISTORY'} | {'STATE', the state now, '' when it is off}
local head_key, admission_key, available_key = KEYS[1], KEYS[2], KEYS[3]
local epoch, replid, shop, wish = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

if not seq_under(head_key, epoch, replid) then return { 'HISTORY' } end
local state = redis.call('HGET', admission_key, shop)
if wish == 'on' and not state then
  redis.call('UNLINK', available_key)
  local time = redis.call('TIME')
  redis.call('HSET', admission_key, shop, 'starting ' .. time[1] .. string.format('%06d', time[2]))
  redis.call('HSET', head_key, 'admission', '1')
elseif wish == 'off' and state then
  redis.call('HDEL', admission_key, shop)
  redis.call('UNLINK', available_key)
  if redis.call('EXISTS', admission_key) == 0 then redis.call('HDEL', head_key, 'admission') end
elseif wish == 'anew' then
  -- Whatever is there, be it no hash: orders wait until all of it is counted.
  redis.call('UNLINK', available_key)
  count_anew(head_key, shop)
elseif wish == 'counted' and state == ARGV[5] then
  redis.call('HSET', admission_key, shop, redis.call('EXISTS', available_key) == 1 and 'on' or 'on empty')
end
return { 'STATE', redis.call('HGET', admission_key, shop) or '' }
