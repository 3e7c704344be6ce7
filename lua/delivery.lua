#!lua flags=allow-oom
-- Pushes a batch's delivery jobs, moves the position and acknowledges, in one step.
--
-- Guarantee: all of it or nothing; history, token and seq are checked here; everything is checked before the first write.
--
-- KEYS  head  log  position  dead letters  deliveries
-- ARGV  as sink.lua reads them, then the jobs
-- Returns {'HISTORY'} | {'FENCED', token, owner} | {'DUPLICATE', seq} | {'GAP', seq}
--       | {'STALLED', why}                 a key that holds something else: the deliveries no list, the dead letters no stream
--       | {'APPLIED'}
local head_key, log_key, position_key, dead_key, deliveries_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

local batch = batch_arguments()
local refused = refusal(batch, head_key, log_key, position_key, dead_key)
if refused then return refused end
-- A batch without jobs doesn't need the list: an entry that is taken out of its way by hand.
local stalled = #ARGV >= batch.rest and wrong_type(deliveries_key, 'list')
if stalled then return stalled end

-- In slices: unpack has room for some thousands.
for from = batch.rest, #ARGV, 1000 do
  redis.call('RPUSH', deliveries_key, unpack(ARGV, from, math.min(from + 999, #ARGV)))
end
-- The sum is the number of jobs pushed.
return finish(batch, log_key, position_key, dead_key, batch.sum and batch.sum + #ARGV - batch.rest + 1)
