-- SPDX-License-Identifier: MIT
-- packet-agent.lua: resets HTTP requests of clients that are not wanted
--
--   xdpctl run guard eth0 --policy examples/policies/packet-agent.lua
--   xdpctl run guard eth0 --policy examples/policies/packet-agent.lua --arg agents=@agents.txt --arg port=8080

local listed = args.agents or "curl/7.54.0"
local agents = {}
for _, agent in ipairs(type(listed) == "table" and listed or { listed }) do agents[agent] = true end

on("packet", { protocol = "tcp", port = tonumber(args.port or 80) }, function(p)
  local agent = p:http_header("User-Agent")
  if agent and agents[agent] then
    log("%s comes with %s", p.src, agent)
    return p:tcp_rst() or "drop"
  end
end)
