-- Lease waiting comments: those named, or the oldest that nobody else holds.
-- KEYS  1 s:<site>:pending  2 claims:<site>  3 claimed:<site>  4 audit:<site>
-- ARGV  1 by  2 limit  3 lease ms  4 tag  5 also what somebody else holds? ('1')  6… ids, or none
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
local taken = {}
local function take(id)
  local lease = tonumber(redis.call('ZSCORE', KEYS[2], id) or 0)
  local holder = lease > at and redis.call('HGET', KEYS[3], id) or by
  if holder ~= by then
    if ARGV[5] ~= '1' then return end
    redis.call('XADD', KEYS[4], 'MAXLEN', '~', 100000, '*', 'by', by, 'action', 'claim.taken_over', 'comment', id, 'detail', holder)
  end
  redis.call('ZADD', KEYS[2], ends, id)
  redis.call('HSET', KEYS[3], id, by)
  taken[#taken + 1] = id
  taken[#taken + 1] = redis.call('GET', ARGV[4] .. 'c:' .. id)
  taken[#taken + 1] = string.format('%.0f', ends)
end
if #ARGV > 5 then
  for i = 6, #ARGV do
    if redis.call('ZSCORE', KEYS[1], ARGV[i]) then take(ARGV[i]) end
  end
  return taken
end
local cursor = '-'
while #taken < limit * 3 do
  local ids = redis.call('ZRANGEBYLEX', KEYS[1], cursor, '+', 'LIMIT', 0, 100)
  if #ids == 0 then break end
  for _, id in ipairs(ids) do
    take(id)
    if #taken >= limit * 3 then break end
  end
  cursor = '(' .. ids[#ids]
end
return taken
