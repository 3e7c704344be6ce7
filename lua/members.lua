#!lua flags=allow-oom
-- A group's workers: beats the caller's heart when asked, and tells who is there.
--
-- KEYS  workers
-- ARGV  worker ('' to look only), beat ('1' | '0'), prefix of the workers' channels, silence after which a worker
--       without a subscription is forgotten (ms)
-- Returns {now (ms), then for each worker: name, last heartbeat (ms), subscribers}
local workers_key = KEYS[1]
local worker, beat, prefix, silence = ARGV[1], ARGV[2] == '1', ARGV[3], tonumber(ARGV[4])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if beat then redis.call('ZADD', workers_key, string.format('%d', now), worker) end
local scores = redis.call('ZRANGE', workers_key, 0, -1, 'WITHSCORES')
local channels = {}
for k = 1, #scores, 2 do channels[#channels + 1] = prefix .. scores[k] end
local reply = { now }
if #channels == 0 then return reply end
local subscribers = redis.call('PUBSUB', 'NUMSUB', unpack(channels))
for k = 1, #scores, 2 do
  local name, last = scores[k], tonumber(scores[k + 1])
  if beat and subscribers[k + 1] == 0 and now - last > silence then
    redis.call('ZREM', workers_key, name)
  else
    reply[#reply + 1] = name
    reply[#reply + 1] = last
    reply[#reply + 1] = subscribers[k + 1]
  end
end
return reply
