-- The end of one attempt, fenced by its lease: whoever lost the lease writes nothing.
-- KEYS  1 dl:<id>  2 at:<id>  3 c:<comment>  4 x:<site>  5 lanes  6 subs:<site>:endpoint.failing  7 subs:<site>:endpoint.disabled
-- ARGV  1 id  2 lease end  3 new state  4 ms until the next try  5 attempt as JSON  6 external id or ''  7 tag
--       8 counts as an attempt? ('1')  9 the lane did well ('ok'), badly ('fail'), or it says nothing of it ('')
--       10 ms to pause the lane  11 width of the window after a failure ('' as it was)  12 'gone', 'asked' or ''
--       13 id for an event about the endpoint  14 outcome, for the counters
--       15 ms of nothing but failures that disable  16 17 ms that warn  18 failures  19 messages that must have failed
-- Reply 'ok' | 'lost'
-- @include comment
-- @include outbox
local id, state, tag = ARGV[1], ARGV[3], ARGV[7]
local lease, lane, event_id, site, kind, target, before, comment, n, abandoned = unpack(redis.call('HMGET', KEYS[1], 'lease', 'lane', 'ev', 'site', 'kind', 'target',
  'state', 'comment', 'n', 'ab'))
if lease ~= ARGV[2] then return 'lost' end
local at = now()
local lane_key, state_key = tag .. 'lane:' .. lane, tag .. 'ls:' .. lane
redis.call('ZREM', tag .. 'fl:' .. lane, id) -- first: a script whose first write takes no memory may end when memory is full
if comment == '' or redis.call('EXISTS', KEYS[3]) == 1 then -- else it was erased meanwhile: an answer may repeat what was said
  local logged = redis.call('RPUSH', KEYS[2], ARGV[5])
  if logged == 1 then -- it lives no longer than the delivery, by which an erasure finds it
    local left = redis.call('PTTL', KEYS[1])
    redis.call('EXPIRE', KEYS[2], left > 0 and math.ceil(left / 1000) or KEEP_SECONDS)
  end
  if logged > 20 then redis.call('LTRIM', KEYS[2], -20, -1) end
end
redis.call('HINCRBY', tag .. 'outcomes', kind .. ' ' .. ARGV[14], 1)
redis.call('HSET', KEYS[1], 'state', state, 'lease', '', 'due', at + tonumber(ARGV[4]), 'n', tonumber(n) + (ARGV[8] == '1' and 1 or 0))
if abandoned then redis.call('HDEL', KEYS[1], 'ab') end
reindex(tag, id, lane, before, state)
if state == 'queued' then redis.call('ZADD', lane_key, at + tonumber(ARGV[4]), id) else redis.call('ZREM', lane_key, id) end

-- about(type, more): tells the site's other endpoints, and its admins by mail
local function about(kind_of_event, subscribers, more)
  local record = redis.call('HGET', tag .. 'eps:' .. site, target)
  local endpoint = record and cjson.decode(record) or {}
  more.id, more.type, more.at, more.site = ARGV[13], kind_of_event, iso(at), site
  more.endpoint = { id = target, url = endpoint.url, description = endpoint.description }
  outbox(tag, { id = ARGV[13], json = cjson.encode(more), site = site, comment = '', due = at, subscribers = subscribers,
    mails = { 'admins' } })
end
local function disable(reason, since)
  if redis.call('HEXISTS', state_key, 'off') == 1 then return end
  redis.call('HSET', state_key, 'off', reason, 'off_at', iso(at))
  about('endpoint.disabled', KEYS[7], { reason = reason, failing_since = since and iso(since) or nil })
end
if ARGV[9] == 'ok' then
  local cap, window, failing, ok_at = unpack(redis.call('HMGET', state_key, 'cap', 'w', 'f', 'ok_at'))
  if failing then redis.call('HDEL', state_key, 'f', 'ff', 'fm', 'since', 'gone', 'warned', 'until') end
  if window then -- it opens again as it closed: one, two, four
    window = tonumber(window) * 2
    if window >= tonumber(cap or 5) then redis.call('HDEL', state_key, 'w') else redis.call('HSET', state_key, 'w', window) end
  end
  if at - tonumber(ok_at or 0) > 1000 then redis.call('HSET', state_key, 'ok_at', string.format('%.0f', at)) end
elseif ARGV[9] == 'fail' then
  redis.call('HINCRBY', state_key, 'f', 1)
  local failures = redis.call('HINCRBY', state_key, 'ff', 1)
  redis.call('HSETNX', state_key, 'since', string.format('%.0f', at))
  if n == '0' then redis.call('HINCRBY', state_key, 'fm', 1) end
  local since, messages, gone, warned = unpack(redis.call('HMGET', state_key, 'since', 'fm', 'gone', 'warned'))
  since, messages, warned = tonumber(since), tonumber(messages or 0), tonumber(warned or 0)
  if ARGV[11] ~= '' then redis.call('HSET', state_key, 'w', ARGV[11]) end
  if tonumber(ARGV[10]) > 0 then redis.call('HSET', state_key, 'until', string.format('%.0f', at + tonumber(ARGV[10]))) end
  local enough = failures >= tonumber(ARGV[18]) and messages >= tonumber(ARGV[19])
  if ARGV[12] == 'gone' and gone and gone ~= event_id then
    disable('gone', since)
  elseif ARGV[12] == 'gone' then
    redis.call('HSET', state_key, 'gone', event_id)
  elseif kind == 'webhook' and enough and at - since >= tonumber(ARGV[15]) then
    disable('failing', since)
  elseif kind == 'webhook' and at - since >= tonumber(ARGV[16 + math.min(warned, 1)]) and warned < 2 then
    redis.call('HSET', state_key, 'warned', warned + 1)
    about('endpoint.failing', KEYS[6], { failing_since = iso(since) })
  end
elseif tonumber(ARGV[10]) > 0 then
  redis.call('HSET', state_key, 'until', string.format('%.0f', at + tonumber(ARGV[10])))
end
if ARGV[12] == 'asked' then disable('asked') end
local first = redis.call('ZRANGE', lane_key, 0, 0, 'WITHSCORES')
if #first > 0 then redis.call('ZADD', KEYS[5], first[2], lane) else redis.call('ZREM', KEYS[5], lane) end

if ARGV[6] ~= '' then
  local value = redis.call('GET', KEYS[3])
  if value then
    local head, body = split(value)
    head.x = ARGV[6]
    redis.call('SET', KEYS[3], join(head, body))
    redis.call('HSET', KEYS[4], ARGV[6], comment)
    redis.call('INCR', tag .. 'tv:' .. site .. ':' .. string.sub(redis.sha1hex(cjson.decode(body).thread), 1, 20))
  end
end
return 'ok'
