-- SPDX-License-Identifier: MIT
-- synflood.lua: a source that opens too many TCP connections a second gets few packets for a minute
--
--   xdpctl policy load examples/policies/synflood.lua
--   xdpctl policy load examples/policies/synflood.lua syns=50 rate=20 seconds=120

local most = tonumber(args.syns or 100)      -- connections a second that one source may open
local rate = tonumber(args.rate or 10)       -- packets a second that it gets when it opens more
local seconds = tonumber(args.seconds or 60) -- for so long

local opened, sources = {}, 0

on("flow", function(src, dst, proto, sport, dport, length, interface, vlan, flags)
  if proto ~= "tcp" or flags:find("A", 1, true) or not flags:find("S", 1, true) then return end
  local n = (opened[src] or 0) + 1
  opened[src] = n
  if n == 1 then sources = sources + 1 end
  if n > most and limit(src, rate, rate, seconds) then
    log("limited %s to %d packets/s: it opened more than %d connections in a second", src, rate, most)
  end
end)

-- A new count every second. Thousands of sources with one connection each are forged: a limit for each does not help.
every(1, function()
  if sources > 20 * most then
    log("SYNs from %d sources in a second, most likely forged: use SYN cookies (net.ipv4.tcp_syncookies)", sources)
  end
  opened, sources = {}, 0
end)
