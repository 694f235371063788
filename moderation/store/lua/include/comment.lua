-- split(value) → head as a table, body as text. now() → Redis's own clock in ms, the only clock of leases and due times.
local function split(value)
  local at = string.find(value, '\n', 1, true)
  return cjson.decode(string.sub(value, 1, at - 1)), string.sub(value, at + 1)
end
local function join(head, body) return cjson.encode(head) .. '\n' .. body end
local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
-- iso(ms) → RFC 3339 in UTC (civil-from-days; Lua in Redis has no os.date)
local function iso(ms)
  local days = math.floor(ms / 86400000)
  local rest = ms - days * 86400000
  local z = days + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month, doy - math.floor((153 * mp + 2) / 5) + 1,
    math.floor(rest / 3600000), math.floor(rest / 60000) % 60, math.floor(rest / 1000) % 60, rest % 1000)
end
-- tally(tag, site, who, status, by): how many comments of an author stand approved; says how many then.
local function tally(tag, site, who, status, by)
  if not who or status ~= 'approved' then return 0 end
  return redis.call('HINCRBY', tag .. 'ok:' .. site, who, by)
end
-- author(body) → the pseudonym; in JSON no text can look like this, its quotes are escaped
local function author(body) return string.match(body, '"who":"(%x+)"') end
-- move(tag, site, thread, id, from, to, who): the indexes of a comment follow its status; a change of what is public is counted.
local function move(tag, site, thread, id, from, to, who)
  tally(tag, site, who, from, -1)
  local thread_key = string.sub(redis.sha1hex(thread), 1, 20)
  local of_thread = tag .. 't:' .. site .. ':' .. thread_key .. ':'
  redis.call('ZREM', tag .. 's:' .. site .. ':' .. from, id)
  redis.call('ZADD', tag .. 's:' .. site .. ':' .. to, 0, id)
  redis.call('ZREM', of_thread .. from, id)
  redis.call('ZADD', of_thread .. to, 0, id)
  if from == 'approved' or to == 'approved' then redis.call('INCR', tag .. 'tv:' .. site .. ':' .. thread_key) end
  return tally(tag, site, who, to, 1)
end
