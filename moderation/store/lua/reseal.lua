-- Put what was sealed anew in the place of what it was made of, unless that changed meanwhile: then it is left alone.
-- KEYS  1 where it stands
-- ARGV  1 'field' of a hash | 'body' of a comment | 'whole' string   2 field or ''   3 as it was   4 as it shall be
-- Reply 'ok' | 'changed'
local kind, field, old, new = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if kind == 'field' then
  if redis.call('HGET', KEYS[1], field) ~= old then return 'changed' end
  redis.call('HSET', KEYS[1], field, new)
  return 'ok'
end
local value, head = redis.call('GET', KEYS[1]), ''
if not value then return 'changed' end
if kind == 'body' then
  local at = string.find(value, '\n', 1, true)
  head, value = string.sub(value, 1, at), string.sub(value, at + 1)
end
if value ~= old then return 'changed' end
redis.call('SET', KEYS[1], head .. new, 'KEEPTTL')
return 'ok'
