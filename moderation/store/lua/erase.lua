-- Take a comment away for good: its text, indexes, history and leases. What waits to be sent of it is cancelled when it becomes due; sites
-- that want to know are told by an event that holds only ids.
-- KEYS  1 comment  2 claims:<site>  3 claimed:<site>  4 h:<id>  5 audit:<site>  6 subs:<site>:comment.erased  7 a:<author>  8 x:<site>  9 cl:<id>
--       10 cd:<id>  11 dup:<hash> or a name that is not there  12 ln:<id>  13 erased
-- ARGV  1 id  2 by  3 tag  4 site  5 thread  6 event id  7 the site's id of it, as it came, or ''  8 one spelling of the author's name
--       9 the status it must have, or ''
-- Reply 'ok' | 'missing' | 'changed'
-- @include comment
-- @include outbox
local id, by, tag, site, thread = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local value = redis.call('GET', KEYS[1])
if not value then return 'missing' end
local head, body = split(value)
if ARGV[9] ~= '' and head.s ~= ARGV[9] then return 'changed' end
local at = now()
redis.call('DEL', KEYS[1], KEYS[4], KEYS[9], KEYS[11], KEYS[12])
redis.call('ZREM', KEYS[2], id)
redis.call('HDEL', KEYS[3], id)
redis.call('ZREM', KEYS[7], id)
redis.call('ZREM', tag .. 's:' .. site .. ':' .. head.s, id)
local thread_key = string.sub(redis.sha1hex(thread), 1, 20)
redis.call('ZREM', tag .. 't:' .. site .. ':' .. thread_key .. ':' .. head.s, id)
local who = author(body)
tally(tag, site, who, head.s, -1)
if who and tonumber(redis.call('HGET', tag .. 'ok:' .. site, who) or 0) <= 0 then -- nothing of theirs stands any more
  redis.call('HDEL', tag .. 'ok:' .. site, who)
  if redis.call('HGET', tag .. 'nm:' .. site, ARGV[8]) == who then redis.call('HDEL', tag .. 'nm:' .. site, ARGV[8]) end
end
local external_id = head.x or (ARGV[7] ~= '' and ARGV[7]) or nil
for _, name in ipairs({ ARGV[7], head.x }) do -- a receiver may have given it another than it came with
  if redis.call('HGET', KEYS[8], name) == id then redis.call('HDEL', KEYS[8], name) end
end
if head.s == 'approved' then redis.call('INCR', tag .. 'tv:' .. site .. ':' .. thread_key) end
for _, delivery in ipairs(redis.call('LRANGE', KEYS[10], 0, -1)) do redis.call('DEL', tag .. 'at:' .. delivery) end -- answers may repeat what was said
local event = cjson.encode({ id = ARGV[6], type = 'comment.erased', at = iso(at), site = site, sequence = (head.q or 0) + 1,
  erased = { id = id, thread = thread, external_id = external_id or cjson.null } })
outbox(tag, { id = ARGV[6], json = event, site = site, thread = thread, comment = '', due = at, subscribers = KEYS[6], mails = {} })
redis.call('XADD', KEYS[5], 'MAXLEN', '~', 100000, '*', 'by', by, 'action', 'comment.erased', 'comment', id, 'detail', '')
redis.call('INCR', KEYS[13])
return 'ok'
