-- SPDX-License-Identifier: MIT
-- packet-route.lua: sends packets on by the kernel's routing table, or out of one interface, past the network stack
--
--   xdpctl run guard eth0 --policy examples/policies/packet-route.lua --arg port=80
--   xdpctl run guard eth0 --policy examples/policies/packet-route.lua --arg port=80 --arg out=eth1

local filter = { protocol = args.protocol or "tcp", port = tonumber(args.port) }
local quiet_until = 0

on("packet", filter, function(p)
  if args.out then return p:redirect(args.out) end
  local route, why = fib_lookup(p.dst)
  if not route then
    -- One line a second, however many packets there are.
    if now() >= quiet_until then
      log("%s: %s", p.dst, why)
      quiet_until = now() + 1
    end
    return
  end
  -- While the next hop's hardware address is not known (nil), the stack forwards, and asks for it.
  return p:redirect(route)
end)
