-- SPDX-License-Identifier: MIT
-- packet-cache.lua: remembers the addresses in DNS answers that pass, and answers the next question itself
--
-- On a router between clients and a DNS server: it sees the questions on one interface, the answers on the other.
--
--   xdpctl run guard eth0 eth1 --policy examples/policies/packet-cache.lua
--   xdpctl run guard eth0 --policy examples/policies/packet-cache.lua --arg server=192.0.2.53 --arg most=3600

local A = 1
local port = tonumber(args.port or 53)
local most = tonumber(args.most or 86400) -- seconds that an address is kept, whatever its TTL
local patience = 5                        -- seconds in which an answer must come
local size = 10000

state.names = state.names or {}
local names, known = state.names, 0
for _ in pairs(names) do known = known + 1 end
local asked, waiting = {}, 0

local function key(p, name) return p:u16(p.payload) .. " " .. name end

on("packet", { protocol = "udp", port = port }, function(p)
  local name, type = p:dns_question()
  if not name or type ~= A then return end
  local entry = names[name]
  if entry and entry.ends > now() then return p:dns_answer(entry.address, math.floor(entry.ends - now())) end
  if waiting < size then
    asked[key(p, name)] = now() + patience
    waiting = waiting + 1
  end
end)

-- An answer that nobody asked for is not believed, unless it comes from a server that is named.
on("packet", { protocol = "udp", source_port = port, from = args.server }, function(p)
  local name, address, ttl = p:dns_record()
  if not name then return end
  local question = key(p, name)
  if not args.server and (asked[question] or 0) < now() then return end
  asked[question] = nil
  if not names[name] then
    if known >= size then return end
    known = known + 1
  end
  names[name] = { address = address, ends = now() + math.min(ttl, most) }
  log("%s is %s for %d s", name, address, math.min(ttl, most))
end)

every(10, function()
  for name, entry in pairs(names) do
    if entry.ends <= now() then
      names[name] = nil
      known = known - 1
    end
  end
  waiting = 0
  for question, ends in pairs(asked) do
    if ends < now() then asked[question] = nil else waiting = waiting + 1 end
  end
end)
