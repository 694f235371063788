-- The end of one attempt, fenced by its lease: whoever lost the lease writes nothing.
-- KEYS  1 dl:<id>  2 at:<id>  3 c:<comment>  4 x:<site>  5 lanes
-- ARGV  1 id  2 lease end  3 delivered | queued | dead | undeliverable  4 ms until the next try  5 attempt as JSON  6 external id or ''  7 tag  8 site
-- Reply 'ok' | 'lost'
-- @include comment
if redis.call('HGET', KEYS[1], 'lease') ~= ARGV[2] then return 'lost' end
local id, tag = ARGV[1], ARGV[7]
local at = now()
local lane = redis.call('HGET', KEYS[1], 'lane')
local lane_key = tag .. 'lane:' .. lane
redis.call('ZREM', tag .. 'fl:' .. lane, id) -- first: a script whose first write takes no memory may end when memory is full
redis.call('RPUSH', KEYS[2], ARGV[5])
redis.call('LTRIM', KEYS[2], -20, -1)
redis.call('EXPIRE', KEYS[2], 90 * 86400)
redis.call('HINCRBY', KEYS[1], 'n', 1)
redis.call('HSET', KEYS[1], 'state', ARGV[3], 'lease', '', 'due', at + tonumber(ARGV[4]))
if ARGV[3] == 'queued' then redis.call('ZADD', lane_key, at + tonumber(ARGV[4]), id) else redis.call('ZREM', lane_key, id) end
local first = redis.call('ZRANGE', lane_key, 0, 0, 'WITHSCORES')
if #first > 0 then redis.call('ZADD', KEYS[5], first[2], lane) else redis.call('ZREM', KEYS[5], lane) end
if ARGV[6] ~= '' then
  local value = redis.call('GET', KEYS[3])
  if value then
    local head, body = split(value)
    head.x = ARGV[6]
    redis.call('SET', KEYS[3], join(head, body))
    redis.call('HSET', KEYS[4], ARGV[6], redis.call('HGET', KEYS[1], 'comment'))
    redis.call('INCR', tag .. 'tv:' .. ARGV[8] .. ':' .. string.sub(redis.sha1hex(cjson.decode(body).thread), 1, 20))
  end
end
return 'ok'
