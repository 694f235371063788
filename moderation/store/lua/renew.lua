-- Hold a lease longer while its attempt runs, or give it back (0 ms). The fence stays as it was: only the ends move.
-- KEYS  1 dl:<id>   ARGV  1 id  2 lease  3 lease ms  4 tag      Reply 'ok' | 'lost'
-- @include comment
-- @include outbox
if redis.call('HGET', KEYS[1], 'lease') ~= ARGV[2] then return 'lost' end
local lane, tag = redis.call('HGET', KEYS[1], 'lane'), ARGV[4]
local ends = now() + tonumber(ARGV[3])
redis.call('ZREM', tag .. 'fl:' .. lane, ARGV[1]) -- first: it takes no memory, see settle.lua
if ARGV[3] ~= '0' then redis.call('ZADD', tag .. 'fl:' .. lane, ends, ARGV[1]) end
redis.call('ZADD', tag .. 'lane:' .. lane, ends, ARGV[1])
if ARGV[3] == '0' then
  due_at(tag, lane, ends)
  nudge(tag)
  redis.call('HINCRBY', KEYS[1], 'ab', -1) -- the next take counts a lease that nobody settled; nobody died of this one
end
return 'ok'
