-- wrk: reads; answers outside 2xx and 3xx, and broken ones, are wrong
function done(s, l, r)
  local e = s.errors
  io.write(string.format("RESULT %d %.6f %d\n", s.requests, s.duration / 1e6, e.status + e.connect + e.read + e.timeout))
end
