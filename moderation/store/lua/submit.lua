-- Store one comment. Everything is checked first and written last: a script is atomic, but nothing rolls it back.
-- KEYS  1 comment  2 site  3 s:<site>:<status>  4 t:<site>:<thread>:<status>  5 author  6 dup  7 idem
--       8 subs:<site>:<event type>  9 x:<site>
-- ARGV  1 id  2 value  3 site version  4 duplicate window s (0 = off)  5 content hash  6 idempotent? ('1')  7 parent id or external id
--       8 rates: "<hash> <interval ms> <burst> …" or ''  9 event type  10 tag  11 external id  12 site  13 thread
--       14 how moderators are told: 'each', 'digest' or ''  15 status, by the rules; and for few: 16 author  17 targets, spaces between: mails of
--       what is published, checkers of what waits  18 near-duplicate key or ''  19 its fields, spaces between  20 what outside checkers are told of
--       the client, sealed, or ''  21 one spelling of the author's name or ''  22 approved comments that make a regular of an author
-- Reply {'ok'} | {'same', id, status} | {'conflict'} | {'site'} | {'duplicate'} | {'parent'} | {'slow', seconds}
-- @include comment
-- @include outbox
local id, tag, site = ARGV[1], ARGV[10], ARGV[12]
local tail = string.sub(id, -12) -- enough to know our own by (older versions wrote all of it)
if ARGV[6] == '1' then
  local known = redis.call('GET', KEYS[7])
  if known then
    local known_id, content = string.match(known, '^(%S+) (%S+)$')
    if content ~= ARGV[5] then return { 'conflict' } end
    local value = redis.call('GET', tag .. 'c:' .. known_id)
    return { 'same', known_id, value and split(value).s or 'rejected' }
  end
end
if redis.call('HGET', KEYS[2], 'v') ~= ARGV[3] then return { 'site' } end
local window = tonumber(ARGV[4])
if window > 0 then
  local first = redis.call('GET', KEYS[6])
  if first and first ~= tail and first ~= id then return { 'duplicate' } end -- our own: this script ran before, and writes the same again
end
local parent = ARGV[7]
if parent ~= '' then
  local value = redis.call('GET', tag .. 'c:' .. parent)
  if not value then
    parent = redis.call('HGET', KEYS[9], parent)
    value = parent and redis.call('GET', tag .. 'c:' .. parent)
  end
  if not value then return { 'parent' } end
  local head, body = split(value)
  local said = cjson.decode(body)
  if head.s ~= 'approved' or said.site ~= site or said.thread ~= ARGV[13] then return { 'parent' } end
end
local paces = {}
if ARGV[8] ~= '' then -- GCRA: one timestamp says how far ahead of its pace a sender is; all are asked before one is moved
  local at = now()
  for name, interval, burst in string.gmatch(ARGV[8], '(%S+) (%S+) (%S+)') do
    interval = tonumber(interval)
    local key = tag .. 'rate:' .. name
    local arrival = math.max(tonumber(redis.call('GET', key) or 0), at)
    local ahead = arrival - at
    local allowed = (tonumber(burst) - 1) * interval
    if ahead > allowed then return { 'slow', math.ceil((ahead - allowed) / 1000) } end
    paces[#paces + 1] = { key, string.format('%.0f', arrival + interval), math.ceil(ahead + interval) }
  end
end
for _, pace in ipairs(paces) do redis.call('SET', pace[1], pace[2], 'PX', pace[3]) end
local value = ARGV[2]
local status, decided = ARGV[15], ARGV[15] ~= 'pending'
local decided_at = decided and iso(now())
if parent ~= '' or decided then -- the parent's real id goes into the head: the body came before we knew it
  local head, body = split(value)
  if parent ~= '' then head.p = parent end
  if decided then
    head.s, head.by, head.at, head.q = status, 'rules', decided_at, 1
    if status == 'approved' then head.ap = decided_at end
  end
  value = join(head, body)
end
redis.call('SET', KEYS[1], value)
redis.call('ZADD', KEYS[3], 0, id)
redis.call('ZADD', KEYS[4], 0, id)
redis.call('ZADD', KEYS[5], 0, id)
if window > 0 then redis.call('SET', KEYS[6], tail, 'EX', window) end
if ARGV[6] == '1' then redis.call('SET', KEYS[7], id .. ' ' .. ARGV[5], 'EX', 86400) end
if ARGV[11] ~= '' then redis.call('HSETNX', KEYS[9], ARGV[11], id) end
if (ARGV[18] or '') ~= '' then
  for field in string.gmatch(ARGV[19], '%S+') do redis.call('HSETNX', ARGV[18], field, id) end
  redis.call('EXPIRE', ARGV[18], 2 * 86400)
end
if decided then
  local standing = tally(tag, site, ARGV[16], status, 1)
  if status == 'approved' and ARGV[21] ~= '' and standing >= tonumber(ARGV[22]) then redis.call('HSETNX', tag .. 'nm:' .. site, ARGV[21], ARGV[16]) end
  if status == 'approved' then redis.call('INCR', tag .. 'tv:' .. site .. ':' .. string.sub(redis.sha1hex(ARGV[13]), 1, 20)) end
  redis.call('RPUSH', tag .. 'h:' .. id, cjson.encode({ at = decided_at, by = 'rules', decision = status, to = status, version = 1 }))
end
local each = ARGV[14] == 'each' and not decided
local mails = {}
if each then mails[1] = 'moderators' end
for target in string.gmatch(ARGV[17] or '', '%S+') do
  if target ~= 'reply' or parent ~= '' then mails[#mails + 1] = target end -- whether a reply's parent wants it is asked when it is sent
end
if #mails > 0 or redis.call('EXISTS', KEYS[8]) == 1 then
  local at = now()
  local event_id = derive(id, 0)
  local event = cjson.encode({ id = event_id, type = ARGV[9], at = iso(at), site = site, comment = id, status = status, sequence = decided and 1 or 0,
    by = decided and 'rules' or nil })
  outbox(tag, { id = event_id, json = event, site = site, thread = ARGV[13], comment = id, due = at, subscribers = KEYS[8], mails = mails })
end
if ARGV[14] == 'digest' and not decided then tell_by_digest(tag, site, id, now(), tag .. 'dg:' .. site, tag .. 'dgs:' .. site) end
if (ARGV[20] or '') ~= '' then redis.call('SET', tag .. 'cl:' .. id, ARGV[20], 'EX', 15 * 86400) end
return { 'ok' }
