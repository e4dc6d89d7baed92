-- SPDX-License-Identifier: MIT
-- packet-sni.lua: drops TLS connections to servers that are on a list
--
--   xdpctl run guard eth0 --policy examples/policies/packet-sni.lua
--   xdpctl run guard eth0 --policy examples/policies/packet-sni.lua --arg names=@names.txt

local names = {}
for _, name in ipairs(args.names or { "test.com", "test2.com.br" }) do names[name:lower()] = true end

on("packet", { protocol = "tcp", port = tonumber(args.port or 443) }, function(p)
  local name = p:tls_sni()
  if name and names[name:lower()] then
    log("%s asks for %s", p.src, name)
    return "drop"
  end
end)
