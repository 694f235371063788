-- wrk: one unique Arabic comment per request, as a browser encodes it, from one of 262,144 addresses
local counter, seed, n, head = 0, os.time() % 1000000, 0, nil
local function encode(s) return (s:gsub("[^A-Za-z0-9._-]", function(c) return string.format("%%%02X", c:byte()) end)) end
function setup(thread) thread:set("tid", counter); counter = counter + 1 end
function init(args)
  math.randomseed(seed + tid * 7919)
  head = "author=" .. encode("ليلى") .. "&email=reader%40example.org&url=&comment_post_ID=41&comment_parent=0&comment=" ..
    encode("شكراً على هذا التقرير المفصّل، ولكن عندي سؤال حول الجزء الثاني منه ")
end
function request()
  n = n + 1
  return wrk.format("POST", wrk.path, {
    ["Content-Type"] = "application/x-www-form-urlencoded",
    ["X-Forwarded-For"] = string.format("10.%d.%d.%d", math.random(0, 3), math.random(0, 255), math.random(0, 255)),
  }, head .. seed .. "-" .. tid .. "-" .. n)
end
function done(s, l, r)
  local e = s.errors
  io.write(string.format("RESULT %d %.6f %.3f %.3f %d %d\n", s.requests, s.duration / 1e6, l:percentile(50) / 1000, l:percentile(99) / 1000,
    e.status, e.connect + e.read + e.timeout))
end
