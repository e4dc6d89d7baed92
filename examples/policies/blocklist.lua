-- SPDX-License-Identifier: MIT
-- blocklist.lua: blocks every address of a file: one address or block (10.0.0.0/8) a line, `#` starts a comment
--
--   xdpctl policy load examples/policies/blocklist.lua list=@bad.txt
--   xdpctl policy reload blocklist      -- after the file has changed
--   xdpctl policy unload blocklist      -- they may all come back

local list = args.list or args[1]

if type(list) ~= "table" then
  log("which list? xdpctl policy load blocklist.lua list=@FILE")
  return
end

local now_blocked = {}
local skipped = 0

for number, line in ipairs(list) do
  local address = line:gsub("#.*", ""):match("^%s*(%S+)")
  if address then
    local ok, message = pcall(block, address)
    if ok then
      now_blocked[address] = true
    else
      skipped = skipped + 1
      if skipped <= 5 then log("line %d: %s", number, message) end
    end
  end
end

-- What an earlier version of the file had, and this one has not, is free again.
for address in pairs(state.blocked or {}) do
  if not now_blocked[address] then unblock(address) end
end
state.blocked = now_blocked

local count = 0
for _ in pairs(now_blocked) do count = count + 1 end
log("%d entries blocked, %d lines skipped", count, skipped)

-- How often it helps.
local hits = 0
on("deny", function() hits = hits + 1 end)
every(60, function()
  if hits > 0 then log("%d packets from the list in the last minute", hits) end
  hits = 0
end)
