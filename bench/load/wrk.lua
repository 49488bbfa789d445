-- The same load as client.ts, for wrk: its requests come from a file, one path a line, or are
-- all one write, and its result is a line of JSON.

local reads, at = {}, 0

function init(args)
  if args[1] == "write" then
    wrk.method = "POST"
    wrk.body = string.rep("x", tonumber(args[2]))
    wrk.headers["Content-Type"] = "text/plain"
    local write = wrk.format()
    request = function() return write end
  else
    for path in io.lines(args[2]) do reads[#reads + 1] = wrk.format("GET", path) end
    request = function()
      at = at % #reads + 1
      return reads[at]
    end
  end
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '{"answered":%d,"wrong":%d,"ms":%f,"p50":%d,"p99":%d,"beside":0}\n',
    summary.requests, e.status + e.connect + e.read + e.write + e.timeout,
    summary.duration / 1000, latency:percentile(50), latency:percentile(99)))
end
