-- Hold a lease longer while its attempt runs. The fence stays as it was: only the ends move.
-- KEYS  1 dl:<id>   ARGV  1 id  2 lease  3 lease ms  4 tag      Reply 'ok' | 'lost'
-- @include comment
if redis.call('HGET', KEYS[1], 'lease') ~= ARGV[2] then return 'lost' end
local lane = redis.call('HGET', KEYS[1], 'lane')
local ends = now() + tonumber(ARGV[3])
redis.call('ZREM', ARGV[4] .. 'fl:' .. lane, ARGV[1]) -- first: it takes no memory, see settle.lua
redis.call('ZADD', ARGV[4] .. 'fl:' .. lane, ends, ARGV[1])
redis.call('ZADD', ARGV[4] .. 'lane:' .. lane, ends, ARGV[1])
return 'ok'
