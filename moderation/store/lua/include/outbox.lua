-- The outbox. A delivery waits in the lane of its receiver, a sorted set by the ms it is next due, unless the lane is off:
-- then it is held. Beside that it stands in one index per lane and state.
local KEEP_SECONDS = 30 * 86400
-- derive(id, n) → the nth id that belongs to an id: its second last byte is the number, its last one still names the partition.
local function derive(id, n) return string.sub(id, 1, -5) .. string.format('%02x', n) .. string.sub(id, -2) end
-- due_at(tag, lane, ms): the lane has something due no later than that.
local function due_at(tag, lane, ms)
  local first = redis.call('ZSCORE', tag .. 'lanes', lane)
  if not first or tonumber(first) > ms then redis.call('ZADD', tag .. 'lanes', ms, lane) end
end
-- nudge(tag): wakes one blocked worker.
local function nudge(tag)
  redis.call('LPUSH', tag .. 'nudge', '1')
  redis.call('LTRIM', tag .. 'nudge', 0, 9)
end
-- reindex(tag, id, lane, from, to): a delivery stands in the index of its state.
local function reindex(tag, id, lane, from, to)
  if from == to then return end
  local index = tag .. 'ld:' .. lane .. ':'
  if from then redis.call('ZREM', index .. from, id) end
  redis.call('ZADD', index .. to, 0, id)
end
-- restate(tag, id, lane, from, to): the same, and the state itself.
local function restate(tag, id, lane, from, to)
  reindex(tag, id, lane, from, to)
  redis.call('HSET', tag .. 'dl:' .. id, 'state', to)
end
-- enqueue(tag, d): writes one delivery; d has id, event, comment, kind, target, lane, site, due, and always = '1' for one that
-- is made even when the lane is off. Says whether it is new: the same id twice is the same delivery.
local function enqueue(tag, d)
  local key = tag .. 'dl:' .. d.id
  if redis.call('EXISTS', key) == 1 then return false end
  local held = not d.always and redis.call('HEXISTS', tag .. 'ls:' .. d.lane, 'off') == 1
  redis.call('HSET', key, 'ev', d.event, 'comment', d.comment, 'kind', d.kind, 'target', d.target, 'lane', d.lane, 'site', d.site,
    'n', 0, 'due', d.due, 'state', held and 'held' or 'queued')
  if d.always then redis.call('HSET', key, 'always', '1') end
  redis.call('EXPIRE', key, KEEP_SECONDS)
  reindex(tag, d.id, d.lane, nil, held and 'held' or 'queued')
  if not held then
    redis.call('ZADD', tag .. 'lane:' .. d.lane, d.due, d.id)
    due_at(tag, d.lane, d.due)
  end
  if d.comment ~= '' then
    redis.call('RPUSH', tag .. 'cd:' .. d.comment, d.id)
    redis.call('EXPIRE', tag .. 'cd:' .. d.comment, KEEP_SECONDS)
  end
  return true
end
-- wants(filter, thread): an endpoint's filter is '' or a JSON list of prefixes of threads.
local function wants(filter, thread)
  if filter == '' then return true end
  for _, prefix in ipairs(cjson.decode(filter)) do
    if string.sub(thread, 1, #prefix) == prefix then return true end
  end
  return false
end
-- Targets that stand for several people: a worker finds out who they are, and makes a mail for each.
local GROUPS = { moderators = true, admins = true }
-- outbox(tag, e): writes an event, and one delivery per subscribed endpoint and per mailbox, each into the lane of its receiver.
-- e has id, json, site, thread (none: no filter applies), comment, due, subscribers (a hash: endpoint → filter), mails (targets). Returns the deliveries' ids.
local function outbox(tag, e)
  local made = {}
  local function deliver(kind, target, lane, comment)
    local id = derive(e.id, #made + 1)
    if enqueue(tag, { id = id, event = e.id, comment = comment, kind = kind, target = target, lane = lane, site = e.site, due = e.due }) then
      made[#made + 1] = id
    end
  end
  local subscribed = redis.call('HGETALL', e.subscribers)
  for i = 1, #subscribed, 2 do
    if not e.thread or wants(subscribed[i + 1], e.thread) then deliver('webhook', subscribed[i], 'ep:' .. subscribed[i], e.comment) end
  end
  for _, target in ipairs(e.mails) do
    local checker = string.match(target, '^check:(.+)$')
    if checker then
      deliver('check', checker, 'check:' .. e.site, e.comment)
    elseif GROUPS[target] then
      deliver('tell', target, 'tell:' .. e.site, '')
    else
      deliver('mail', target, 'mail:' .. e.site, e.comment)
    end
  end
  redis.call('SET', tag .. 'ev:' .. e.id, e.json, 'EX', KEEP_SECONDS)
  redis.call('ZADD', tag .. 'evs:' .. e.site, 0, e.id)
  if #made > 0 then nudge(tag) end
  return made
end
-- tell_by_digest(tag, site, id, at, list, pause): a comment that moderators are to be told of; the first that is not told yet has a digest
-- sent, when the last one is long enough ago (the life of the pause).
local function tell_by_digest(tag, site, id, at, list, pause)
  local length = redis.call('RPUSH', list, id)
  if length > 1 then
    local first = redis.call('LINDEX', list, 0)
    if redis.call('HGET', tag .. 'dl:' .. derive(first, 255), 'state') == 'queued' then
      if length > 10000 then redis.call('LTRIM', list, -10000, -1) end -- nobody is told of so many one by one
      return
    end -- its digest is gone or ended: this one has another made
  end
  local event_id = derive(id, 254)
  redis.call('SET', tag .. 'ev:' .. event_id, cjson.encode({ id = event_id, type = 'digest', at = iso(at), site = site }), 'EX', KEEP_SECONDS)
  enqueue(tag, { id = derive(id, 255), event = event_id, comment = '', kind = 'tell', target = 'digest', lane = 'tell:' .. site, site = site,
    due = at + math.max(0, redis.call('PTTL', pause)) })
  nudge(tag)
end
