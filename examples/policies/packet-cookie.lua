-- SPDX-License-Identifier: MIT
-- packet-cookie.lua: HTTP requests need a cookie
--
--   xdpctl run guard eth0 --policy examples/policies/packet-cookie.lua
--   xdpctl run guard eth0 --policy examples/policies/packet-cookie.lua --arg name=session --arg value=letmein

local name = args.name or "_xdpcookie"
local value = args.value -- any, without

on("packet", { protocol = "tcp", port = tonumber(args.port or 80) }, function(p)
  if not p:string(p.payload, 16) then return end -- no request begins here
  if not p:http_header("Host") then return end
  local given = p:cookie(name)
  if not given or (value and given ~= value) then
    log("%s has no %s", p.src, name)
    return p:tcp_rst() or "drop"
  end
end)
