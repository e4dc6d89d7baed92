-- SPDX-License-Identifier: MIT
-- packet-dump.lua: prints packets as tcpdump does, those of SSH left out
--
--   xdpctl run guard eth0 --policy examples/policies/packet-dump.lua
--   xdpctl run guard eth0 --policy examples/policies/packet-dump.lua --arg skip=443

local skip = tonumber(args.skip or 22)

local function bytes(p, at, count, format, between)
  local all = {}
  for i = 1, count do all[i] = format:format(p:u8(at + i - 1)) end
  return table.concat(all, between)
end

local function show_arp(p)
  -- Behind the types, lengths and the operation: MAC and address of the sender, then of the target.
  local at = p.network
  local sender, target = bytes(p, at + 14, 4, "%d", "."), bytes(p, at + 24, 4, "%d", ".")
  if p:u16(at + 6) == 1 then
    log("arp who-has %s tell %s, length %d", target, sender, p.length)
  else
    log("arp reply %s is-at %s, length %d", sender, bytes(p, at + 8, 6, "%02x", ":"), p.length)
  end
end

local function show(p)
  if p.sport == skip or p.dport == skip then return end
  if p.sport then
    log("%s.%d > %s.%d: %s [%s], length %d", p.src, p.sport, p.dst, p.dport, p.proto, p.flags, p.payload_length)
  elseif p.proto == "arp" and p.network then
    show_arp(p)
  else
    log("%s > %s: %s, length %d", p.src or "?", p.dst or "?", p.proto, p.length)
  end
end

for _, protocol in ipairs({ "tcp", "udp", "icmp", "icmpv6", "arp" }) do
  on("packet", { protocol = protocol }, show)
end
