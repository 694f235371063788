-- One lesson: what was taught of this comment before is taken back, then the new label is taught. One step of logistic regression.
-- KEYS  1 lw:<site>  2 ln:<comment>
-- ARGV  1 label: '1' (not published), '0' (published) or '' (nothing is known)  2 rate  3 seconds to keep the lesson  4… indexes of the features
-- Reply 'ok'
local count = #ARGV - 3
if count < 1 then return 'ok' end
local scale = 1 / math.sqrt(count)
local function step(by)
  redis.call('HINCRBYFLOAT', KEYS[1], 0, by * 0.1) -- the bias moves slowly: it stands for how much is refused in general
  for i = 4, #ARGV do redis.call('HINCRBYFLOAT', KEYS[1], ARGV[i], by * scale) end
end
local before = redis.call('GET', KEYS[2])
redis.call('DEL', KEYS[2])
if before then step(-tonumber(before)) end
if ARGV[1] == '' then return 'ok' end
local total = tonumber(redis.call('HGET', KEYS[1], 0) or 0)
for i = 4, #ARGV do total = total + tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or 0) * scale end
local expected = 1 / (1 + math.exp(-math.max(-30, math.min(30, total))))
local by = tonumber(ARGV[2]) * (tonumber(ARGV[1]) - expected)
step(by)
redis.call('SET', KEYS[2], string.format('%.9f', by), 'EX', ARGV[3])
return 'ok'
