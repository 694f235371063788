-- Close a digest: what waits to be told goes from its list into the event, which keeps it, whoever is killed then.
-- KEYS  1 ev:<event>  2 dg:<site>  3 dgs:<site>  4 s:<site>:pending     ARGV  1 ms until the next digest  2 how many comments are named
-- Reply the event as JSON, or nothing when it is gone
local value = redis.call('GET', KEYS[1])
if not value then return false end
local event = cjson.decode(value)
if event.total then return value end -- closed before, by a worker that died after it
local ids = redis.call('LRANGE', KEYS[2], 0, -1)
redis.call('DEL', KEYS[2])
local named, seen, total = {}, {}, 0
for _, id in ipairs(ids) do
  if not seen[id] and redis.call('ZSCORE', KEYS[4], id) then -- what was decided meanwhile needs no telling
    seen[id] = true
    total = total + 1
    if total <= tonumber(ARGV[2]) then named[total] = id end
  end
end
event.comments, event.total = table.concat(named, ' '), total
value = cjson.encode(event)
redis.call('SET', KEYS[1], value, 'KEEPTTL')
if total > 0 then redis.call('SET', KEYS[3], '1', 'PX', ARGV[1]) end
return value
