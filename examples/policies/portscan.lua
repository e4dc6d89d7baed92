-- SPDX-License-Identifier: MIT
-- portscan.lua: who tries many ports in a short time is out for ten minutes
--
--   xdpctl policy load examples/policies/portscan.lua
--   xdpctl policy load examples/policies/portscan.lua ports=50 window=10 block=3600

local limit = tonumber(args.ports or 20)    -- different ports…
local window = tonumber(args.window or 5)   -- …within this many seconds…
local seconds = tonumber(args.block or 600) -- …are paid with this many

on("flow", function(src, dst, proto, sport, dport, length, interface, vlan, flags)
  -- Answers are no scans: TCP acknowledges, UDP goes back to a high port.
  if flags:find("A", 1, true) or (proto == "udp" and dport >= 32768) then return end

  local seen = state[src]
  if not seen or now() - seen.since > window then
    seen = { ports = {}, n = 0, since = now() }
    state[src] = seen
  end
  if not seen.ports[dport] then
    seen.ports[dport] = true
    seen.n = seen.n + 1
  end
  if seen.n > limit and block(src, seconds) then
    log("blocked %s: %d ports in %d s", src, seen.n, window)
  end
end)

-- Forget who was quiet for a while.
every(window, function()
  for src, seen in pairs(state) do
    if now() - seen.since > window then state[src] = nil end
  end
end)
