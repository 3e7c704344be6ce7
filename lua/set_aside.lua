#!lua flags=allow-oom
-- Records the dead letters of a sink whose store is the user's, before the sink passes over them.
--
-- Guarantee: under the history in which they were read; each once, however often the batch is tried: one that is among
-- the group's latest dead letters already, by entry ID and seq, is not added again.
--
-- KEYS  head  log  dead
-- ARGV  epoch, replid, group, then for each letter: entry ID, whether it counts in the position ('1') or was added by
--       hand ('0'), number of strings, the strings
-- Returns {'HISTORY'} | {'SET', how many were added}
local head_key, log_key, dead_key = KEYS[1], KEYS[2], KEYS[3]
local epoch, replid, group = ARGV[1], ARGV[2], ARGV[3]

if not seq_under(head_key, epoch, replid) then return { 'HISTORY' } end

-- The entry ID and the seq among a letter's strings from `from` to `to`; entries that come from the ledger share an ID.
local function name(strings, from, to)
  local seq, entry = '', ''
  for k = from, to - 1, 2 do
    if strings[k] == 'seq' then seq = strings[k + 1] end
    if strings[k] == 'entry' then entry = strings[k + 1] end
  end
  return entry .. ' ' .. seq
end

local known = {}
for _, letter in ipairs(redis.call('XREVRANGE', dead_key, '+', '-', 'COUNT', 1000)) do
  known[name(letter[2], 1, #letter[2])] = true
end
local added = 0
local at = 4
while ARGV[at] do
  local to = at + 2 + tonumber(ARGV[at + 2])
  if not known[name(ARGV, at + 3, to)] then
    redis.call('XADD', dead_key, '*', unpack(ARGV, at + 3, to))
    added = added + 1
  end
  at = to + 1
end
return { 'SET', added }
