-- SPDX-License-Identifier: MIT
-- packet-port.lua: drops TCP to some ports, and TCP from others
--
--   xdpctl run guard eth0 --policy examples/policies/packet-port.lua
--   xdpctl run guard eth0 --policy examples/policies/packet-port.lua --arg to=80,443 --arg from=1234

local function ports(list)
  local all = {}
  for port in list:gmatch("%d+") do all[#all + 1] = tonumber(port) end
  return all
end

-- Only what a filter names comes here; the rest goes its way at the kernel's speed.
for _, port in ipairs(ports(args.to or "80")) do
  on("packet", { protocol = "tcp", port = port, on_error = "drop" }, function() return "drop" end)
end
for _, port in ipairs(ports(args.from or "1234")) do
  on("packet", { protocol = "tcp", source_port = port, on_error = "drop" }, function() return "drop" end)
end
