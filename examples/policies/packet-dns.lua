-- SPDX-License-Identifier: MIT
-- packet-dns.lua: answers DNS questions for names that it knows, before the server sees them
--
--   xdpctl run guard eth0 --policy examples/policies/packet-dns.lua --arg www.example=192.0.2.7 --arg db.example=192.0.2.8

local A = 1
local ttl = 3600

local function is_ipv4(text)
  local parts = { text:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$") }
  for _, part in ipairs(parts) do
    if tonumber(part) > 255 or part:match("^0.") then return false end
  end
  return #parts == 4
end

local known = {}
for key, value in pairs(args) do
  local name, address = key, value
  -- With a dot, it is no name of an argument.
  if type(key) == "number" then name, address = value:match("^(.-)=(.+)$") end
  if not address then error(value .. " is not NAME=ADDRESS") end
  if not is_ipv4(address) then error(address .. " is no IPv4 address: NAME=ADDRESS") end
  known[name:lower()] = address
end

on("packet", { protocol = "udp", port = 53 }, function(p)
  local name, type = p:dns_question()
  local address = name and type == A and known[name]
  -- Whatever can't be answered here (nil) goes on to the server.
  return address and p:dns_answer(address, ttl)
end)
