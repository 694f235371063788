-- What an outside checker said of a comment; and whether its moderators are to be told of it now, which happens once.
-- KEYS  1 comment  2 h:<id>  3 dg:<site>  4 dgs:<site>
-- ARGV  1 id  2 checker or '' (none answered)  3 what it said  4 detail  5 tell the moderators now: 'each', 'digest' or ''  6 tag  7 site  8 event id
--       9 how often its author had corrected it when the checker was asked, '' for whatever it says now
-- Reply {'ok', value} | {'missing'} | {'stale', value} (it says something else by now, of which the checker is asked again)
-- @include comment
-- @include outbox
local id, checker, tag, site = ARGV[1], ARGV[2], ARGV[6], ARGV[7]
local value = redis.call('GET', KEYS[1])
if not value then return { 'missing' } end
local head, body = split(value)
if ARGV[9] ~= '' and tonumber(ARGV[9]) ~= (head.e or 0) then return { 'stale', value } end
local at = now()
if checker ~= '' then
  head.ck = head.ck or {}
  head.ck[checker] = ARGV[3]
  redis.call('RPUSH', KEYS[2], cjson.encode({ at = iso(at), by = checker, action = 'checked', verdict = ARGV[3], detail = ARGV[4] ~= '' and ARGV[4] or nil }))
end
local tell = ARGV[5] ~= '' and not head.tl and head.s == 'pending'
if tell then head.tl = 1 end
local after = join(head, body)
redis.call('SET', KEYS[1], after)
if tell and ARGV[5] == 'each' then
  local event = cjson.encode({ id = ARGV[8], type = 'comment.submitted', at = iso(at), site = site, comment = id, status = 'pending', sequence = 0 })
  redis.call('SET', tag .. 'ev:' .. ARGV[8], event, 'EX', KEEP_SECONDS)
  enqueue(tag, { id = derive(ARGV[8], 1), event = ARGV[8], comment = '', kind = 'tell', target = 'moderators', lane = 'tell:' .. site, site = site, due = at })
  nudge(tag)
elseif tell then
  tell_by_digest(tag, site, id, at, KEYS[3], KEYS[4])
end
return { 'ok', after }
