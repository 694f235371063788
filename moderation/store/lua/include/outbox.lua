-- outbox(tag, event_id, event, subscribers, delivery_ids, mail_target, site, due, comment_id): writes the event once and one delivery per
-- subscribed endpoint and per mailbox, each into the lane of its receiver. Returns the ids of the deliveries made.
local KEEP_SECONDS = 90 * 86400
local function enqueue(tag, delivery_id, event_id, kind, target, lane, due, comment_id)
  local key = tag .. 'dl:' .. delivery_id
  redis.call('HSET', key, 'ev', event_id, 'comment', comment_id, 'kind', kind, 'target', target, 'lane', lane,
    'state', 'queued', 'n', 0, 'due', due)
  redis.call('EXPIRE', key, KEEP_SECONDS)
  redis.call('ZADD', tag .. 'lane:' .. lane, due, delivery_id)
  local first = redis.call('ZSCORE', tag .. 'lanes', lane)
  if not first or tonumber(first) > due then redis.call('ZADD', tag .. 'lanes', due, lane) end
end
local function outbox(tag, event_id, event, subscribers, delivery_ids, mail_target, site, due, comment_id)
  local made = {}
  local next_id = string.gmatch(delivery_ids, '[^ ]+')
  for _, endpoint in ipairs(redis.call('SMEMBERS', subscribers)) do
    local id = next_id()
    if id then
      enqueue(tag, id, event_id, 'webhook', endpoint, 'ep:' .. endpoint, due, comment_id)
      made[#made + 1] = id
    end
  end
  if mail_target ~= '' then
    local id = next_id()
    enqueue(tag, id, event_id, 'mail', mail_target, 'mail:' .. site, due, comment_id)
    made[#made + 1] = id
  end
  if #made > 0 then
    redis.call('SET', tag .. 'ev:' .. event_id, event, 'EX', KEEP_SECONDS)
    local list = tag .. 'cd:' .. comment_id
    redis.call('RPUSH', list, unpack(made))
    redis.call('EXPIRE', list, KEEP_SECONDS)
    redis.call('LPUSH', tag .. 'nudge', '1')
    redis.call('LTRIM', tag .. 'nudge', 0, 9)
  end
  return made
end
