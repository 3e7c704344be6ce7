#!lua flags=allow-oom
-- Moves the position over a batch that a store elsewhere has taken, sets its dead letters aside and acknowledges.
--
-- Guarantee: all of it or nothing; history, token and seq are checked here; everything is checked before the first write.
--
-- KEYS  head  log  position  dead letters
-- ARGV  as sink.lua reads them, then how many changes the store took
-- Returns as delivery.lua does
local head_key, log_key, position_key, dead_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

local batch = batch_arguments()
local refused = refusal(batch, head_key, log_key, position_key, dead_key)
if refused then return refused end
-- The sum is the number of changes taken.
return finish(batch, log_key, position_key, dead_key, batch.sum and batch.sum + tonumber(ARGV[batch.rest]))
