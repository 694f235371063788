-- One decision: status, indexes, history, audit, the event and its deliveries, together or not at all.
-- KEYS  1 comment  2 claims:<site>  3 claimed:<site>  4 h:<id>  5 audit:<site>  6 subs:<site>:<event>  7 once:<link>
-- ARGV  1 id  2 new status  3 event type  4 expected version or ''  5 by  6 force? ('1')  7 reason  8 note  9 undo ms
--       10 tag  11 event id  12 targets, spaces between: mails, checkers to report to  13 site  14 thread  15 decision  16 seconds to remember the link used (0: none was)
--       17 one spelling of the author's name  18 approved comments that make a regular of an author
-- Reply {'ok', value} | {'same', value} | {'missing'} | {'stale', value} | {'claimed', by, until} | {'used', value}
-- @include comment
-- @include outbox
local id, status, by, tag, site, thread = ARGV[1], ARGV[2], ARGV[5], ARGV[10], ARGV[13], ARGV[14]
local value = redis.call('GET', KEYS[1])
if not value then return { 'missing' } end
local head, body = split(value)
local once = ARGV[16] ~= '0'
if once and redis.call('EXISTS', KEYS[7]) == 1 then return { 'used', value } end
if ARGV[4] ~= '' and tonumber(ARGV[4]) ~= head.v then return { 'stale', value } end
if head.s == status then return { 'same', value } end
local at = now()
local lease = tonumber(redis.call('ZSCORE', KEYS[2], id) or 0)
if lease > at and ARGV[6] ~= '1' then
  local holder = redis.call('HGET', KEYS[3], id)
  if holder ~= by then return { 'claimed', holder, iso(lease) } end
end
local before = { s = head.s, by = head.by, at = head.at, r = head.r, q = head.q }
local from = head.s
local sequence = (head.q or 0) + 1
head.s, head.v, head.by, head.at, head.q = status, head.v + 1, by, iso(at), sequence
head.r = ARGV[7] ~= '' and ARGV[7] or nil
head.u = nil
if status == 'approved' then head.ap = head.at end
local event = cjson.encode({ id = ARGV[11], type = ARGV[3], at = head.at, site = site, comment = id, status = status, previous_status = from, by = by,
  reason = head.r, sequence = sequence, external_id = head.x })
-- The lease goes first: it takes no memory, and a script that began with such a write may finish when memory is full.
redis.call('ZREM', KEYS[2], id)
redis.call('HDEL', KEYS[3], id)
if once then redis.call('SET', KEYS[7], id, 'EX', ARGV[16]) end
local mails = {}
for target in string.gmatch(ARGV[12], '%S+') do
  if target ~= 'reply' then
    mails[#mails + 1] = target
  elseif head.p then -- whoever is replied to, if they asked for it
    local parent = redis.call('GET', tag .. 'c:' .. head.p)
    local _, said = split(parent or '{}\n{}')
    if cjson.decode(said).notify then mails[#mails + 1] = target end
  end
end
local undo_ms = tonumber(ARGV[9])
local made = outbox(tag, { id = ARGV[11], json = event, site = site, thread = thread, comment = id, due = at + undo_ms,
  subscribers = KEYS[6], mails = mails })
local who, named = author(body), nil
local standing = move(tag, site, thread, id, from, status, who)
if status == 'approved' and ARGV[17] ~= '' and standing >= tonumber(ARGV[18]) and redis.call('HSETNX', tag .. 'nm:' .. site, ARGV[17], who) == 1 then
  named = ARGV[17]
end
if undo_ms > 0 then head.u = { til = at + undo_ms, before = before, ev = ARGV[11], dl = table.concat(made, ' '), nm = named } end
local after = join(head, body)
redis.call('SET', KEYS[1], after)
redis.call('RPUSH', KEYS[4], cjson.encode({ at = head.at, by = by, decision = ARGV[15], from = from, to = status, version = head.v,
  reason = head.r, note = ARGV[8] ~= '' and ARGV[8] or nil }))
redis.call('XADD', KEYS[5], 'MAXLEN', '~', 100000, '*', 'by', by, 'action', 'decision.' .. ARGV[15], 'comment', id, 'detail', ARGV[7])
return { 'ok', after }
