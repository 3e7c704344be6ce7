#!lua flags=allow-oom
-- Removes a group's other consumers from a log, those that have nothing pending.
--
-- Guarantee: no pending entry is dropped (XGROUP DELCONSUMER would drop them silently).
--
-- KEYS  log
-- ARGV  group, the consumer to keep
-- Returns how many were removed
local log_key = KEYS[1]
local group, keep = ARGV[1], ARGV[2]

local removed = 0
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', log_key, group)) do
  local facts = {}
  for k = 1, #consumer, 2 do facts[consumer[k]] = consumer[k + 1] end
  if facts.name ~= keep and facts.pending == 0 then
    redis.call('XGROUP', 'DELCONSUMER', log_key, group, facts.name)
    removed = removed + 1
  end
end
return removed
