-- The author says it otherwise while it waits: the new body takes the place of the old one, under a new version, so that nobody who read the old one
-- decides about the new one unseen. What the rules took for spam stays spam, and its author learns nothing of it.
-- KEYS  1 comment  2 h:<id>  3 audit:<site>  4 dup:<old hash>  5 dup:<new hash>  6 subs:<site>:<event type>
-- ARGV  1 id  2 expected version  3 new body  4 tag  5 site  6 thread  7 event id  8 duplicate window s (0 = off)  9 status, by the rules
--       10 corrections at most  11 outside checkers to ask again, spaces between  12 event type, of the status by the rules
-- Reply {'ok', value} | {'missing'} | {'decided'} | {'stale'} | {'duplicate'} | {'often'}
-- @include comment
-- @include outbox
local id, tag, site, status = ARGV[1], ARGV[4], ARGV[5], ARGV[9]
local tail = string.sub(id, -12) -- as submit.lua writes it
local value = redis.call('GET', KEYS[1])
if not value then return { 'missing' } end
local head, body = split(value)
if head.s ~= 'pending' and head.s ~= 'spam' then return { 'decided' } end
if head.v ~= tonumber(ARGV[2]) then return { 'stale' } end
if (head.e or 0) >= tonumber(ARGV[10]) then return { 'often' } end
local window = tonumber(ARGV[8])
if window > 0 then
  local first = redis.call('GET', KEYS[5])
  if first and first ~= tail then return { 'duplicate' } end
end
local at = now()
local from = head.s
if redis.call('GET', KEYS[4]) == tail then redis.call('DEL', KEYS[4]) end
if window > 0 then redis.call('SET', KEYS[5], tail, 'EX', window) end
head.v, head.e, head.u, head.ck = head.v + 1, (head.e or 0) + 1, nil, nil -- what checkers said was said of the old text
if from == 'pending' then
  head.q = (head.q or 0) + 1
  if status ~= 'pending' then
    head.s, head.by, head.at = status, 'rules', iso(at)
    move(tag, site, ARGV[6], id, from, status, author(body))
    redis.call('ZREM', tag .. 'claims:' .. site, id)
    redis.call('HDEL', tag .. 'claimed:' .. site, id)
  end
  local asked, decided = {}, status ~= 'pending'
  if not decided then
    for target in string.gmatch(ARGV[11], '%S+') do asked[#asked + 1] = target end
  end
  local event = cjson.encode({ id = ARGV[7], type = ARGV[12], at = iso(at), site = site, comment = id, status = status, sequence = head.q,
    previous_status = decided and from or nil, by = decided and 'rules' or nil })
  outbox(tag, { id = ARGV[7], json = event, site = site, thread = ARGV[6], comment = id, due = at, subscribers = KEYS[6], mails = asked })
end
local after = join(head, ARGV[3])
redis.call('SET', KEYS[1], after)
redis.call('RPUSH', KEYS[2], cjson.encode({ at = iso(at), by = 'author', action = 'corrected', version = head.v }))
redis.call('XADD', KEYS[3], 'MAXLEN', '~', 100000, '*', 'by', 'author', 'action', 'comment.corrected', 'comment', id, 'detail', '')
return { 'ok', after }
