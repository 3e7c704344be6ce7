-- The idempotency window: which changes are in the log already, each with its payload's digest and its place. Read behind
-- history.lua, ahead of the scripts that look there or write there.
--
-- `<shop> <change ID>` → 16 bytes of digest, the seq and a blank, and the entry's ID with its time in 6 bytes, in many small hashes,
-- `…:seen:<since>:<bucket>`: small ones stay listpacks, which take half the memory. A change's bucket comes from its hash, which
-- whoever appends sends along. `…:seen` names the generations: 'buckets', then since when it is written to (µs), how many buckets
-- it has, and the head's seq when it began, of the one of today; the same without seq of the one before; and of one that is on its
-- way out, bucket by bucket, with the next one to go. An ID is known for one to two windows.
--
-- Before format 3 `…:seen` is one hash, and `…:seen:old` the one before it, each with `since` and the digest in hexadecimal.
-- Whoever may write the newer form begins it when that hash is due to rotate. A build that knows the one hash only, and would take
-- every change for new, fails then at the type of `…:seen`, before it writes.

local buckets_first, buckets_least, buckets_most = 4096, 16, 1048576
-- IDs in a bucket: as many when the number of buckets is chosen, and as many at which a first generation makes way for a larger.
local fill, fill_most = 32, 64
-- Buckets of a generation on its way out that one call deletes.
local deleted_at_once = 256

-- The window's generations; nil where it is one hash, or nothing yet.
local function window_at(seen_key)
  local text = redis.pcall('GET', seen_key)
  if type(text) ~= 'string' then
    -- Who has rights from before the buckets may not ask, and needn't for the one hash; else it is told what is missing.
    local since = text and not string.find(text.err, '^WRONGTYPE') and redis.pcall('HGET', seen_key, 'since')
    if type(since) == 'table' then error(text) end
    return nil
  end
  local since, buckets, from, before, before_buckets, gone, gone_buckets, gone_from =
    string.match(text, '^buckets (%d+) (%d+) (%d+) (%S+) (%d+) (%S+) (%d+) (%d+)$')
  if not since then error({ err = 'WRONGTYPE ' .. seen_key .. ' is no idempotency window' }) end
  return {
    since = since, buckets = tonumber(buckets), from = tonumber(from),
    before = before, before_buckets = tonumber(before_buckets),
    gone = gone, gone_buckets = tonumber(gone_buckets), gone_from = tonumber(gone_from),
  }
end

local function keep_window(window, seen_key)
  redis.call('SET', seen_key, string.format('buckets %s %d %d %s %d %s %d %d', window.since, window.buckets, window.from,
    window.before, window.before_buckets, window.gone, window.gone_buckets, window.gone_from))
end

-- Where changes of a hash are: the key that is written to.
local function window_key(window, hash, seen_key)
  return window and seen_key .. ':' .. window.since .. ':' .. hash % window.buckets or seen_key
end

-- And that of the generation before; nil where there is none.
local function window_key_before(window, hash, seen_key, old_key)
  if not window or window.before == 'old' then return old_key end
  if window.before ~= '-' then return seen_key .. ':' .. window.before .. ':' .. hash % window.before_buckets end
end

-- What is remembered, as digest (16 bytes) and `<seq> <entry>`.
local function told(known)
  local _, stop = string.find(known, '^%x+ ')
  -- As the one hash has it: behind a seq, which has fewer digits, a blank comes sooner.
  if stop == 33 then
    local digest = string.gsub(string.sub(known, 1, 32), '%x%x', function(digits) return string.char(tonumber(digits, 16)) end)
    return digest, string.sub(known, 34)
  end
  local seq, at = string.match(known, '^(%d+) ()', 17)
  if not at then return '', '' end
  return string.sub(known, 1, 16), string.format('%s %d%s', seq, struct.unpack('>I6', known, at), string.sub(known, at + 6))
end

-- The milliseconds of an entry's ID and their six bytes; most entries of a call have the same.
local last_time, last_bytes

-- What is to be remembered of a change.
local function record_of(window, digest, place, entry)
  if not window then
    return string.format('%08x%08x%08x%08x ', struct.unpack('>I4I4I4I4', digest)) .. place .. ' ' .. entry
  end
  local dash = string.find(entry, '-', 1, true)
  local time = string.sub(entry, 1, dash - 1)
  if time ~= last_time then
    last_time, last_bytes = time, struct.pack('>I6', tonumber(time))
  end
  return digest .. place .. ' ' .. last_bytes .. string.sub(entry, dash)
end

-- Looks for names[from..to], of one hash, and notes in `known` what is remembered of each.
local function look_up(key, names, from, to, known)
  if from == to then
    known[from] = known[from] or redis.call('HGET', key, names[from])
    return
  end
  local values = redis.call('HMGET', key, unpack(names, from, to))
  for i = from, to do known[i] = known[i] or values[i - from + 1] end
end

-- The buckets for as many IDs.
local function buckets_for(count)
  local buckets = buckets_least
  while buckets * fill < count and buckets < buckets_most do buckets = buckets * 2 end
  return buckets
end

-- The window that takes what is appended now, behind the head's seq: the same, or the next one when this is older than it may be.
-- It is written down at once: what is done behind it may fail.
local function turned(window, seen_key, old_key, seq, age_most, may_divide)
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  if not window then
    local since = redis.call('HGET', seen_key, 'since')
    local is_due = since and now / 1000 - tonumber(since) >= age_most
    if is_due then
      redis.call('UNLINK', old_key)
      redis.call('RENAME', seen_key, old_key)
    end
    if may_divide and (is_due or not since and redis.call('EXISTS', seen_key) == 0) then
      window = {
        since = string.format('%d', now), buckets = buckets_first, from = seq, gone = '-', gone_buckets = 0, gone_from = 0,
        before = redis.call('EXISTS', old_key) == 1 and 'old' or '-', before_buckets = 0,
      }
      keep_window(window, seen_key)
    elseif is_due or not since then
      redis.call('HSET', seen_key, 'since', string.format('%d', now / 1000))
    end
    return window, true
  end

  local count, is_due = seq - window.from, now - tonumber(window.since) >= age_most * 1000
  local is_full = window.before == '-' and count > window.buckets * fill_most and window.buckets < buckets_most
  if window.gone ~= '-' then
    local buckets, to = {}, math.min(window.gone_from + deleted_at_once, window.gone_buckets)
    for k = window.gone_from, to - 1 do buckets[#buckets + 1] = seen_key .. ':' .. window.gone .. ':' .. k end
    redis.call('UNLINK', unpack(buckets))
    window.gone_from = to
    if to == window.gone_buckets then window.gone, window.gone_buckets, window.gone_from = '-', 0, 0 end
  elseif is_due or is_full then
    if window.before == 'old' then
      redis.call('UNLINK', old_key)
    else
      window.gone, window.gone_buckets, window.gone_from = window.before, window.before_buckets, 0
    end
    window.before, window.before_buckets = window.since, window.buckets
    window.buckets = is_due and buckets_for(count) or math.min(window.buckets * 16, buckets_most)
    window.since = string.format('%d', math.max(now, tonumber(window.since) + 1))
    window.from = seq
  else
    return window, false
  end
  keep_window(window, seen_key)
  return window, true
end
