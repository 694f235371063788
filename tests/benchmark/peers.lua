-- wrk: `read` the address as it is, or submit one unique Arabic comment per request as JSON, to `isso` or to `ours`
local kind, n, tid, last = "read", 0, 0, 0
local said = "قرأت هذا التقرير كاملا وأعجبني شرحه، ولكن عندي سؤال حول الجزء الثاني منه: هل يمكن توضيح الفكرة بمثال عملي لمن لا يعرف الموضوع؟ "
local run = os.time() % 1000000
function setup(thread) thread:set("tid", last); last = last + 1 end
function init(args) kind = args[1]; math.randomseed(run + tid * 7919) end
function request()
  if kind == "read" then return wrk.format("GET", wrk.path) end
  n = n + 1
  local text = said .. run .. "-" .. tid .. "-" .. n
  local body = kind == "isso" and '{"author":"ليلى","email":"reader@example.org","website":null,"parent":null,"title":"t","text":"' .. text .. '"}'
    or '{"author":"ليلى","email":"reader@example.org","thread":"submitted","comment":"' .. text .. '"}'
  return wrk.format("POST", wrk.path, { ["Content-Type"] = "application/json",
    ["X-Forwarded-For"] = string.format("10.%d.%d.%d", math.random(0, 3), math.random(0, 255), math.random(0, 255)) }, body)
end
function done(s, l, r)
  local e = s.errors
  io.write(string.format("RESULT %d %.6f %.3f %.3f %d %d\n", s.requests, s.duration / 1e6, l:percentile(50) / 1000, l:percentile(99) / 1000,
    e.status, e.connect + e.read + e.timeout))
end
