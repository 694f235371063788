-- Give leases back. KEYS  1 claims:<site>  2 claimed:<site>   ARGV  1 by  2… ids (none: all of the caller's)
-- Reply the ids released
local by, released = ARGV[1], {}
local function release(id)
  redis.call('ZREM', KEYS[1], id)
  redis.call('HDEL', KEYS[2], id)
  released[#released + 1] = id
end
if #ARGV == 1 then
  local all = redis.call('HGETALL', KEYS[2])
  for i = 1, #all, 2 do if all[i + 1] == by then release(all[i]) end end
else
  for i = 2, #ARGV do if redis.call('HGET', KEYS[2], ARGV[i]) == by then release(ARGV[i]) end end
end
return released
