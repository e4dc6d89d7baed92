-- SPDX-License-Identifier: MIT
-- The same with the other answer.
on("packet", { protocol = "udp", port = 9000 }, function(p)
  if p.dport == 9000 and p:u8(p.payload) == 0 then return "pass" end
end)
