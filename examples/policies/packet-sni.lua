-- SPDX-License-Identifier: MIT
-- packet-sni.lua: drops TLS connections to servers that are on a list
--
--   xdpctl run guard eth0 --policy examples/policies/packet-sni.lua
--   xdpctl run guard eth0 --policy examples/policies/packet-sni.lua --arg names=test.com
--   xdpctl run guard eth0 --policy examples/policies/packet-sni.lua --arg names=@names.txt

local listed = args.names or { "test.com", "test2.com.br" }
local names = {}
for _, name in ipairs(type(listed) == "table" and listed or { listed }) do names[name:lower()] = true end

on("packet", { protocol = "tcp", port = tonumber(args.port or 443) }, function(p)
  local name = p:tls_sni()
  if name and names[name:lower()] then
    log("%s asks for %s", p.src, name)
    return "drop"
  end
end)
