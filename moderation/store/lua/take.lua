-- Hand out due deliveries under a lease: what is taken is re-scored to the end of its lease, so a dead worker's work becomes due by itself.
-- KEYS  1 lanes      ARGV  1 how many  2 lease ms  3 in flight per lane  4 tag  5 nudge key
-- Reply {ms until the next is due or -1, {id, lease end, attempts, kind, target, comment id, event, comment value}, …}
-- @include comment
local want, lease_ms, cap, tag = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local at = now()
local ends = at + lease_ms
local jobs = {}
for _, lane in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', at, 'LIMIT', 0, 50)) do
  local lane_key, flight_key = tag .. 'lane:' .. lane, tag .. 'fl:' .. lane
  redis.call('ZREMRANGEBYSCORE', flight_key, '-inf', at)
  local free = math.min(cap - redis.call('ZCARD', flight_key), want - #jobs)
  if free > 0 then
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', lane_key, '-inf', at, 'LIMIT', 0, free)) do
      local key = tag .. 'dl:' .. id
      local d = redis.call('HMGET', key, 'n', 'kind', 'target', 'comment', 'ev')
      local event = d[5] and redis.call('GET', tag .. 'ev:' .. d[5])
      if not event then
        redis.call('ZREM', lane_key, id) -- erased or expired: nothing left to send
      else
        redis.call('ZADD', lane_key, ends, id)
        redis.call('ZADD', flight_key, ends, id)
        redis.call('HSET', key, 'lease', string.format('%.0f', ends))
        jobs[#jobs + 1] = { id, string.format('%.0f', ends), d[1], d[2], d[3], d[4], event, redis.call('GET', tag .. 'c:' .. d[4]) or '' }
      end
    end
  end
  local first = redis.call('ZRANGE', lane_key, 0, 0, 'WITHSCORES')
  if #first == 0 then
    redis.call('ZREM', KEYS[1], lane)
  else
    local due = tonumber(first[2])
    if redis.call('ZCARD', flight_key) >= cap then -- full: come back when a lease ends; settle does so earlier
      due = math.max(due, tonumber(redis.call('ZRANGE', flight_key, 0, 0, 'WITHSCORES')[2]))
    end
    redis.call('ZADD', KEYS[1], due, lane)
  end
  if #jobs >= want then break end
end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
local wait = -1
if #first > 0 then
  wait = math.max(0, tonumber(first[2]) - at)
  if wait == 0 then -- more than we take: wake another worker
    redis.call('LPUSH', ARGV[5], '1')
    redis.call('LTRIM', ARGV[5], 0, 9)
  end
end
return { wait, unpack(jobs) }
