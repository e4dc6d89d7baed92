-- SPDX-License-Identifier: MIT
-- The benchmark's look at each packet of a connection: reads what a filter reads, and lets it pass.
on("packet", { protocol = "tcp", port = 5010 }, function(p)
  if p.payload_length > 0 and p:u8(p.payload) == 255 then return "drop" end
end)
