-- SPDX-License-Identifier: MIT
-- packet-rate.lua: who opens too many connections gets a reset, and is blocked for a while
--
--   xdpctl run guard eth0 --policy examples/policies/packet-rate.lua
--   xdpctl run guard eth0 --policy examples/policies/packet-rate.lua --arg port=443 --arg rate=50 --arg block=600

local rate = tonumber(args.rate or 20)    -- connections a second of one source
local seconds = tonumber(args.block or 60)
local seen = {}

on("packet", { protocol = "tcp", port = tonumber(args.port or 80) }, function(p)
  if p.flags ~= "S" then return end
  local src = p.src
  local n = (seen[src] or 0) + 1
  seen[src] = n
  if n <= rate then return end
  -- The kernel drops what comes next; this one is told.
  if block(src, seconds) then log("%s opened %d connections in a second: blocked for %d s", src, n, seconds) end
  return p:tcp_rst() or "drop"
end)

every(1, function() seen = {} end)
