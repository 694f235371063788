-- Put a comment of an archive where it belongs: nobody is told. What is there already stays as it is, so a run may be repeated.
-- KEYS  1 comment  2 site  3 s:<site>:<status>  4 t:<site>:<thread>:<status>  5 a:<author>  6 x:<site>  7 h:<id>  8 tv:<site>:<thread>
-- ARGV  1 id  2 value  3 tag  4 site  5 status  6 author  7 external id or ''  8 one spelling of the author's name
--       9 approved comments that make a regular of an author  10… history, oldest first
-- Reply 'ok' | 'there' | 'site'
-- @include comment
local id, tag, site, status, who = ARGV[1], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
if redis.call('EXISTS', KEYS[2]) == 0 then return 'site' end
if redis.call('EXISTS', KEYS[1]) == 1 then return 'there' end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[3], 0, id)
redis.call('ZADD', KEYS[4], 0, id)
redis.call('ZADD', KEYS[5], 0, id)
if ARGV[7] ~= '' then redis.call('HSETNX', KEYS[6], ARGV[7], id) end
for i = 10, #ARGV do redis.call('RPUSH', KEYS[7], ARGV[i]) end
if status == 'approved' then
  local standing = tally(tag, site, who, status, 1)
  if ARGV[8] ~= '' and standing >= tonumber(ARGV[9]) then redis.call('HSETNX', tag .. 'nm:' .. site, ARGV[8], who) end
  redis.call('INCR', KEYS[8])
end
return 'ok'
