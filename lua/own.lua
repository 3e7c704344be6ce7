#!lua
-- Runs a script of the user's on a batch, moves the position and acknowledges, in one step.
--
-- Guarantee: all of it or nothing, as far as the server lets a script go: the user's function only notes what it writes; it
-- is carried out when the function has returned, every command and key was checked, and the batch's token and seq, too. What
-- is left is a command that fails by what is stored at its key: what came before it stays.
--
-- Read behind `own`, the user's function; history.lua and sink.lua.
--
-- KEYS  head  log  position  dead letters
-- ARGV  as sink.lua reads them, then the changes as a JSON array
--       or only a group's name and a JSON array: the function is tried with it, and nothing is written
-- Returns as delivery.lua does, or {'TRIED', number of writes} | {'STALLED', why}
local head_key, log_key, position_key, dead_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local tag = string.match(head_key, '^(.*):head$')

-- What COMMAND says of a command's name: whether it only reads, writes, or neither.
local kinds = {}
local function kind(name)
  if kinds[name] then return kinds[name] end
  local info = redis.call('COMMAND', 'INFO', name)[1]
  local found = 'unknown'
  for _, flag in ipairs(info and info[3] or {}) do
    flag = type(flag) == 'table' and flag.ok or flag
    if flag == 'readonly' or flag == 'write' then found = flag end
    if flag == 'noscript' or flag == 'blocking' then
      found = 'unknown'
      break
    end
  end
  kinds[name] = found
  return found
end

-- Ends the function unless the command is of that kind, and all its keys begin so.
local function check(wanted, prefix, ...)
  local name = string.upper(tostring(({ ... })[1]))
  if kind(name) ~= wanted then
    error(name .. (wanted == 'write' and ' is no command that writes' or ' is no command that reads'), 3)
  end
  local keys = redis.pcall('COMMAND', 'GETKEYS', ...)
  if keys.err then error(name .. ': its keys are unclear: ' .. keys.err, 3) end
  for _, key in ipairs(keys) do
    if string.sub(key, 1, #prefix) ~= prefix then error(name .. ' ' .. key .. ': keys begin with ' .. prefix, 3) end
  end
end

-- Runs the user's function: what it writes, and what is wrong with it.
local function run(group, changes)
  local writes, prefix = {}, tag .. ':own:' .. group .. ':'
  local store = { tag = tag, prefix = prefix, null = cjson.null }
  function store.key(name) return prefix .. name end
  function store.read(...)
    check('readonly', tag .. ':', ...)
    return redis.call(...)
  end
  function store.write(...)
    check('write', prefix, ...)
    writes[#writes + 1] = { ... }
  end
  if type(own) ~= 'function' then return nil, 'it returns no function' end
  local is_done, problem = pcall(own, changes, store)
  if is_done then return writes end
  return nil, type(problem) == 'table' and problem.err or tostring(problem)
end

if #ARGV == 2 then
  local writes, problem = run(ARGV[1], cjson.decode(ARGV[2]))
  return writes and { 'TRIED', string.format('%d', #writes) } or { 'STALLED', problem }
end

local batch = batch_arguments()
local refused = refusal(batch, head_key, log_key, position_key, dead_key)
if refused then return refused end
local changes = cjson.decode(ARGV[batch.rest])
-- A batch that only moves the position is none of the function's business.
local writes, problem = {}, nil
if #changes > 0 then writes, problem = run(batch.group, changes) end
if not writes then return { 'STALLED', problem } end
for _, command in ipairs(writes) do redis.call(unpack(command)) end
-- The sum is the number of changes handed over.
return finish(batch, log_key, position_key, dead_key, batch.sum and batch.sum + #changes)
