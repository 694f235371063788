-- Lease waiting comments nobody else holds, oldest first.
-- KEYS  1 s:<site>:pending  2 claims:<site>  3 claimed:<site>     ARGV  1 by  2 limit  3 lease ms  4 tag
-- Reply {id, value, lease end ms, …}
-- @include comment
local by, limit = ARGV[1], tonumber(ARGV[2])
local at = now()
redis.call('ZREMRANGEBYSCORE', KEYS[2], 1, 0) -- removes nothing: a script whose first write takes no memory may go on when it is full
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', at, 'LIMIT', 0, 500)) do
  redis.call('ZREM', KEYS[2], id)
  redis.call('HDEL', KEYS[3], id)
end
local ends = at + tonumber(ARGV[3])
local taken, cursor = {}, '-'
while #taken < limit * 3 do
  local ids = redis.call('ZRANGEBYLEX', KEYS[1], cursor, '+', 'LIMIT', 0, 100)
  if #ids == 0 then break end
  for _, id in ipairs(ids) do
    local lease = tonumber(redis.call('ZSCORE', KEYS[2], id) or 0)
    if lease <= at or redis.call('HGET', KEYS[3], id) == by then
      redis.call('ZADD', KEYS[2], ends, id)
      redis.call('HSET', KEYS[3], id, by)
      taken[#taken + 1] = id
      taken[#taken + 1] = redis.call('GET', ARGV[4] .. 'c:' .. id)
      taken[#taken + 1] = string.format('%.0f', ends)
      if #taken >= limit * 3 then break end
    end
  end
  cursor = '(' .. ids[#ids]
end
return taken
