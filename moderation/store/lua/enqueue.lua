-- Write one delivery of an event, and the event itself unless it is there. The same id twice is the same delivery.
-- KEYS  1 ev:<event>
-- ARGV  1 delivery id  2 event id  3 event as JSON or ''  4 kind  5 target  6 lane  7 site  8 comment id or ''  9 ms from now
--       10 made even when the lane is off? ('1')  11 tag
-- Reply 'ok' | 'known' | 'missing' (no such event)
-- @include comment
-- @include outbox
local tag, due = ARGV[11], now() + tonumber(ARGV[9])
if ARGV[3] ~= '' then
  redis.call('SET', KEYS[1], ARGV[3], 'EX', KEEP_SECONDS)
elseif redis.call('EXISTS', KEYS[1]) == 0 then
  return 'missing'
end
local made = enqueue(tag, { id = ARGV[1], event = ARGV[2], kind = ARGV[4], target = ARGV[5], lane = ARGV[6], site = ARGV[7], comment = ARGV[8],
  due = due, always = ARGV[10] == '1' and '1' or nil })
if not made then return 'known' end
nudge(tag)
return 'ok'
