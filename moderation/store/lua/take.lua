-- Hand out due deliveries under a lease: what is taken is re-scored to the end of its lease, so a dead worker's work becomes due by itself.
-- A lease that ended without a settling means that its worker died or lost us: that is counted, until an attempt ends.
-- A lane has a cap in flight, which its window narrows while it fails, a rate (a bucket of one second), and may be paused or off.
-- KEYS  1 lanes      ARGV  1 how many  2 lease ms  3 in flight per lane unless it says otherwise  4 tag  5 nudge key
-- Reply {ms until the next is due or -1, {id, lease end, attempts, kind, target, comment id, site, event, comment value, receiver, failures, abandoned}, …}
-- @include comment
-- @include outbox
local want, lease_ms, tag = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[4]
local at = now()
local ends = at + lease_ms
local jobs = {}
local function hand_out(lane, id, failures)
  local key = tag .. 'dl:' .. id
  local d = redis.call('HMGET', key, 'n', 'kind', 'target', 'comment', 'ev', 'site', 'lease', 'ab')
  local event = d[5] and redis.call('GET', tag .. 'ev:' .. d[5])
  if not event then -- erased or expired: nothing left to send
    redis.call('ZREM', tag .. 'lane:' .. lane, id)
    return false
  end
  redis.call('ZADD', tag .. 'lane:' .. lane, ends, id)
  redis.call('ZADD', tag .. 'fl:' .. lane, ends, id)
  redis.call('HSET', key, 'lease', string.format('%.0f', ends))
  local abandoned = d[8] or '0'
  if d[7] and d[7] ~= '' then abandoned = redis.call('HINCRBY', key, 'ab', 1) end
  local receiver = d[2] == 'webhook' and redis.call('HGET', tag .. 'eps:' .. d[6], d[3]) or ''
  local comment = d[4] ~= '' and redis.call('GET', tag .. 'c:' .. d[4]) or ''
  jobs[#jobs + 1] = { id, string.format('%.0f', ends), d[1], d[2], d[3], d[4], d[6], event, comment, receiver, failures or '0', abandoned }
  return true
end
-- how many the rate lets go now, and when the next may: one timestamp says how far ahead of its pace the lane is (GCRA)
local function pace(rate, arrival)
  local interval = 1000 / rate
  local slack = 1000 - interval
  local ahead = math.max(arrival, at) - at
  return math.max(0, math.floor((slack - ahead) / interval) + 1), interval, slack
end
for _, lane in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', at, 'LIMIT', 0, 50)) do
  local lane_key, flight_key, state_key = tag .. 'lane:' .. lane, tag .. 'fl:' .. lane, tag .. 'ls:' .. lane
  local cap, window, rate, arrival, paused, off, failures = unpack(redis.call('HMGET', state_key, 'cap', 'w', 'rate', 'tat', 'until', 'off', 'f'))
  cap = tonumber(cap or ARGV[3])
  local allowed = math.min(cap, tonumber(window or cap))
  redis.call('ZREMRANGEBYSCORE', flight_key, '-inf', at)
  local free = math.min(allowed - redis.call('ZCARD', flight_key), want - #jobs)
  local earliest = tonumber(paused or 0)
  if off then -- what is due is held, but for what is sent all the same (a ping)
    earliest = 0
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', lane_key, '-inf', at, 'LIMIT', 0, 100)) do
      if redis.call('HEXISTS', tag .. 'dl:' .. id, 'always') == 0 then
        redis.call('ZREM', lane_key, id)
        restate(tag, id, lane, 'queued', 'held')
      elseif free > 0 and hand_out(lane, id, failures) then
        free = free - 1
      end
    end
  elseif earliest <= at then
    local interval, slack
    if rate then
      local now_ready
      now_ready, interval, slack = pace(tonumber(rate), tonumber(arrival or 0))
      free = math.min(free, now_ready)
    end
    if free > 0 then
      local handed = 0
      for _, id in ipairs(redis.call('ZRANGEBYSCORE', lane_key, '-inf', at, 'LIMIT', 0, free)) do
        if hand_out(lane, id, failures) then handed = handed + 1 end
      end
      if rate and handed > 0 then
        arrival = math.max(tonumber(arrival or 0), at) + handed * interval
        redis.call('HSET', state_key, 'tat', string.format('%.0f', arrival))
      end
    end
    if rate then earliest = tonumber(arrival or 0) - slack end
  end
  local first = redis.call('ZRANGE', lane_key, 0, 0, 'WITHSCORES')
  if #first == 0 then
    redis.call('ZREM', KEYS[1], lane)
  else
    local due = math.max(tonumber(first[2]), math.ceil(earliest))
    if redis.call('ZCARD', flight_key) >= allowed then -- full: come back when a lease ends; settle does so earlier
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
  if wait == 0 then nudge(tag) end -- more than we take: wake another worker
end
return { wait, unpack(jobs) }
