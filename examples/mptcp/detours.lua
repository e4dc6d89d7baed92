-- SPDX-License-Identifier: MIT
--
-- Which connections take a detour: `xdpctl mptcp detour run DETOUR… --policy examples/mptcp/detours.lua`.
-- `choose` gets the server's address and port, our own address, and the detours; it returns those to use.

local always = { [443] = true, [7000] = true }   -- ports of long transfers
local last = 0

function choose(remote, port, source, ...)
  if always[port] then return ... end
  if port < 1024 then return end                 -- short answers gain nothing
  -- All else: one detour, in turn.
  local detours = { ... }
  last = last % #detours + 1
  return detours[last]
end
