-- outbox(tag, event_id, event, subscribers, mail_target, site, due, comment_id): writes the event once and one delivery per
-- subscribed endpoint and per mailbox, each into the lane of its receiver. Returns the ids of the deliveries made.
-- derive(id, n) → the nth id that belongs to an id: its second last byte is the number, its last one still names the partition.
local KEEP_SECONDS = 90 * 86400
local function derive(id, n) return string.sub(id, 1, -5) .. string.format('%02x', n) .. string.sub(id, -2) end
local function enqueue(tag, delivery_id, event_id, kind, target, lane, due, comment_id)
  local key = tag .. 'dl:' .. delivery_id
  redis.call('HSET', key, 'ev', event_id, 'comment', comment_id, 'kind', kind, 'target', target, 'lane', lane,
    'state', 'queued', 'n', 0, 'due', due)
  redis.call('EXPIRE', key, KEEP_SECONDS)
  redis.call('ZADD', tag .. 'lane:' .. lane, due, delivery_id)
  local first = redis.call('ZSCORE', tag .. 'lanes', lane)
  if not first or tonumber(first) > due then redis.call('ZADD', tag .. 'lanes', due, lane) end
end
local function outbox(tag, event_id, event, subscribers, mail_target, site, due, comment_id)
  local made = {}
  for _, endpoint in ipairs(redis.call('SMEMBERS', subscribers)) do
    local id = derive(event_id, #made + 1)
    enqueue(tag, id, event_id, 'webhook', endpoint, 'ep:' .. endpoint, due, comment_id)
    made[#made + 1] = id
  end
  if mail_target ~= '' then
    local id = derive(event_id, #made + 1)
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
