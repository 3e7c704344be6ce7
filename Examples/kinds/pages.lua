-- A product-page cache: `onewrite group add pages --kind redis-script pages.lua`.
--
-- A page is a hash at {onewrite:P}:own:pages:<shop>/<SKU>: how many are on hand as the log says, and `html`, which the web
-- server puts there when it has rendered the page. What sells is invalidated in the step in which it sells: the `html` goes,
-- and the count is filled in.
--
-- Runs by itself on the changes of one partition, in log order, in one atomic step with the group's position. It may run in
-- vain; so it only reads and notes writes: store.read(command, …), store.write(command, …), store.key(name).
return function(changes, store)
  local counts = {}
  for _, change in ipairs(changes) do
    for _, line in ipairs(change.lines) do
      local key = store.key(change.shop .. '/' .. line.sku)
      local count = counts[key] or tonumber(store.read('HGET', key, 'count') or 0)
      if change.type == 'order.placed' then
        count = count - line.quantity
      elseif change.type == 'stock.counted' then
        count = line.quantity
      else -- order.cancelled, stock.received
        count = count + line.quantity
      end
      counts[key] = count
    end
  end
  for key, count in pairs(counts) do
    store.write('HSET', key, 'count', string.format('%d', count))
    store.write('HDEL', key, 'html')
  end
end
