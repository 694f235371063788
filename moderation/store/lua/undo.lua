-- Take a decision back while its deliveries are still held: nothing of it was sent.
-- KEYS  1 comment  2 h:<id>  3 audit:<site>  4 cd:<id>
-- ARGV  1 id  2 by  3 tag  4 site  5 thread
-- Reply {'ok', value} | {'missing'} | {'late', value}
-- @include comment
local id, by, tag, site = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local value = redis.call('GET', KEYS[1])
if not value then return { 'missing' } end
local head, body = split(value)
local at = now()
if not head.u or at >= head.u.til then return { 'late', value } end
for delivery in string.gmatch(head.u.dl, '[^ ]+') do -- made already: asked for by hand, or the clock was set back
  if redis.call('HEXISTS', tag .. 'dl:' .. delivery, 'lease') == 1 then return { 'late', value } end
end
local undone, before = head.s, head.u.before
for delivery in string.gmatch(head.u.dl, '[^ ]+') do
  local key = tag .. 'dl:' .. delivery
  local lane, state = unpack(redis.call('HMGET', key, 'lane', 'state'))
  if lane then
    redis.call('ZREM', tag .. 'lane:' .. lane, delivery)
    redis.call('ZREM', tag .. 'ld:' .. lane .. ':' .. state, delivery)
  end
  redis.call('DEL', key)
  redis.call('LREM', KEYS[4], 0, delivery)
end
redis.call('DEL', tag .. 'ev:' .. head.u.ev)
redis.call('ZREM', tag .. 'evs:' .. site, head.u.ev)
if head.u.nm then redis.call('HDEL', tag .. 'nm:' .. site, head.u.nm) end
head.s, head.by, head.at, head.r, head.q = before.s, before.by, before.at, before.r, before.q
if undone == 'approved' then head.ap = nil end
head.u, head.v = nil, head.v + 1
local after = join(head, body)
redis.call('SET', KEYS[1], after)
move(tag, site, ARGV[5], id, undone, head.s, author(body))
redis.call('RPUSH', KEYS[2], cjson.encode({ at = iso(at), by = by, decision = 'undo', from = undone, to = head.s, version = head.v }))
redis.call('XADD', KEYS[3], 'MAXLEN', '~', 100000, '*', 'by', by, 'action', 'decision.undo', 'comment', id, 'detail', undone)
return { 'ok', after }
