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
-- A thousand at a time: no command takes more than some thousand arguments from a script, and others may have added any.
local subscribers = {}
for k = 1, #channels, 1000 do
  local found = redis.call('PUBSUB', 'NUMSUB', unpack(channels, k, math.min(k + 999, #channels)))
  for i = 2, #found, 2 do subscribers[#subscribers + 1] = found[i] end
end
local reply = { now }
for k = 1, #channels do
  local name, last = scores[2 * k - 1], tonumber(scores[2 * k])
  if beat and subscribers[k] == 0 and now - last > silence then
    redis.call('ZREM', workers_key, name)
  else
    reply[#reply + 1] = name
    reply[#reply + 1] = last
    reply[#reply + 1] = subscribers[k]
  end
end
return reply
