-- One page over several indexes at one instant, so that a comment that moves between them is seen exactly once.
-- KEYS  indexes…      ARGV  1 cursor id or ''  2 'newest' or 'oldest'  3 limit  4 tag  5 claims key  6 claimed key
-- Reply {total, id, value, lease end or '', holder or '', …}
local cursor, newest, limit = ARGV[1], ARGV[2] == 'newest', tonumber(ARGV[3])
local total, ids = 0, {}
for _, key in ipairs(KEYS) do
  total = total + redis.call('ZCARD', key)
  local some
  if newest then
    some = redis.call('ZREVRANGEBYLEX', key, cursor == '' and '+' or '(' .. cursor, '-', 'LIMIT', 0, limit)
  else
    some = redis.call('ZRANGEBYLEX', key, cursor == '' and '-' or '(' .. cursor, '+', 'LIMIT', 0, limit)
  end
  for _, id in ipairs(some) do ids[#ids + 1] = id end
end
if #KEYS > 1 then table.sort(ids, function(a, b) if newest then return a > b end return a < b end) end
local t = redis.call('TIME')
local at = t[1] * 1000 + math.floor(t[2] / 1000)
local page = { total }
for i = 1, math.min(limit, #ids) do
  local id = ids[i]
  local lease = redis.call('ZSCORE', ARGV[5], id)
  if lease and tonumber(lease) <= at then lease = false end
  page[#page + 1] = id
  page[#page + 1] = redis.call('GET', ARGV[4] .. 'c:' .. id) or ''
  page[#page + 1] = lease or ''
  page[#page + 1] = lease and redis.call('HGET', ARGV[6], id) or ''
end
return page
