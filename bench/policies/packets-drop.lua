-- SPDX-License-Identifier: MIT
-- The benchmark's filter: reads a port and a byte of the payload, and drops.
on("packet", { protocol = "udp", port = 9000 }, function(p)
  if p.dport == 9000 and p:u8(p.payload) == 0 then return "drop" end
end)
