-- SPDX-License-Identifier: MIT
-- packet-dump.lua: prints packets as tcpdump does, those of SSH left out
--
--   xdpctl run guard eth0 --policy examples/policies/packet-dump.lua
--   xdpctl run guard eth0 --policy examples/policies/packet-dump.lua --arg skip=443

local skip = tonumber(args.skip or 22)

local function show(p)
  if p.sport == skip or p.dport == skip then return end
  if p.sport then
    log("%s.%d > %s.%d: %s [%s], length %d", p.src, p.sport, p.dst, p.dport, p.proto, p.flags, p.payload_length)
  else
    log("%s > %s: %s, length %d", p.src or "?", p.dst or "?", p.proto, p.length)
  end
end

for _, protocol in ipairs({ "tcp", "udp", "icmp", "icmpv6", "arp" }) do
  on("packet", { protocol = protocol }, show)
end
