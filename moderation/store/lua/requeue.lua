-- Make a delivery again, now; what ended before starts its schedule anew.
-- KEYS  1 dl:<id>      ARGV  1 id  2 tag  3 asked for by a person, who does not wait for a paused lane? ('1')
-- Reply 'ok' | 'missing' (the delivery or its event) | 'busy' (an attempt runs) | 'off' (its endpoint is disabled)
-- @include comment
-- @include outbox
local id, tag = ARGV[1], ARGV[2]
local lane, state, event, lease = unpack(redis.call('HMGET', KEYS[1], 'lane', 'state', 'ev', 'lease'))
if not lane or redis.call('EXISTS', tag .. 'ev:' .. event) == 0 then return 'missing' end
if redis.call('HEXISTS', tag .. 'ls:' .. lane, 'off') == 1 then return 'off' end
local at = now()
if state == 'queued' and tonumber(redis.call('ZSCORE', tag .. 'fl:' .. lane, id) or 0) > at then return 'busy' end
if state ~= 'queued' then redis.call('HSET', KEYS[1], 'n', 0) end
if ARGV[3] == '1' then redis.call('HDEL', tag .. 'ls:' .. lane, 'until') end
redis.call('HSET', KEYS[1], 'due', at, 'lease', '')
restate(tag, id, lane, state, 'queued')
redis.call('ZADD', tag .. 'lane:' .. lane, at, id)
due_at(tag, lane, at)
nudge(tag)
return 'ok'
