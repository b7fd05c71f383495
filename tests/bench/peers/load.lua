-- The requests of wrk. It rotates over the tokens of a file, and gives each request in a row a different address. This
-- gateway refuses two concurrent writes on one address of a vNIC (409), and callers do not send them either.
--   wrk ... -s load.lua URL -- TOKENS_FILE COUNT METHOD TARGET [ADDRESSES]
-- With ADDRESSES there are only that many addresses, which repeat in turn.
local requests, at = {}, 0

function init(arguments)
  local path, most, method, target = arguments[1], tonumber(arguments[2]), arguments[3], arguments[4]
  local addresses = tonumber(arguments[5] or 60000)
  local tokens = {}
  for line in io.lines(path) do
    if #tokens >= most then break end
    tokens[#tokens + 1] = line
  end
  local _, wide = target:gsub("10%.17%.%d+%.%d+", "")
  local next = 0
  local function own(network)
    next = next % addresses + 1
    return string.format("%s.%d.%d", network, math.floor(next / 240) % 250, next % 240 + 1)
  end
  for number = 1, math.max(#tokens, wide > 1 and 1000 or 4000) do
    local varied = target:gsub("(10%.17)%.%d+%.%d+", own)
    local headers = { ["Authorization"] = "Bearer " .. tokens[(number - 1) % #tokens + 1], ["Host"] = "gateway.bench" }
    requests[number] = wrk.format(method, varied, headers)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format("PB rps=%.1f p50=%.0f p90=%.0f p99=%.0f max=%.0f n=%d bad=%d sock=%d\n",
    summary.requests / (summary.duration / 1e6), latency:percentile(50), latency:percentile(90),
    latency:percentile(99), latency.max, summary.requests, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
