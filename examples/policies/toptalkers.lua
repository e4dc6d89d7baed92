-- SPDX-License-Identifier: MIT
-- toptalkers.lua: who sent the most since the last look at the flow table
--
--   xdpctl policy load examples/policies/toptalkers.lua
--   xdpctl policy load examples/policies/toptalkers.lua top=20 seconds=60

local top = tonumber(args.top or 10)
local seconds = tonumber(args.seconds or 10)

local before = {} -- bytes of each source at the last look
local totals = {} -- bytes of each source at this one
local rest        -- what is still to be read of the table
local since = now()

local function size(bytes)
  for _, unit in ipairs { "B", "kB", "MB", "GB" } do
    if bytes < 1000 then return string.format(bytes < 10 and "%.1f %s" or "%.0f %s", bytes, unit) end
    bytes = bytes / 1000
  end
  return string.format("%.1f TB", bytes)
end

local function report()
  local list = {}
  for src, bytes in pairs(totals) do
    -- Flows that were forgotten meanwhile make a source's sum smaller.
    local sent = bytes - (before[src] or 0)
    if sent > 0 then list[#list + 1] = { src = src, bytes = sent } end
  end
  table.sort(list, function(a, b) return a.bytes > b.bytes end)
  if #list > 0 then log("top talkers of the last %d s, of %d:", math.floor(now() - since + 0.5), #list) end
  for i = 1, math.min(top, #list) do
    log("%3d  %-39s %s", i, list[i].src, size(list[i].bytes))
  end
  before, totals, since = totals, {}, now()
end

-- A hook has 100 ms: a large table is read in portions, a few hundred entries at a time.
every(0.02, function()
  if not rest then
    if now() - since < seconds then return end
    rest = maps.flows:pairs()
  end
  for _ = 1, 500 do
    local key, flow = rest()
    if not key then
      rest = nil
      report()
      return
    end
    totals[key.src] = (totals[key.src] or 0) + flow.bytes
  end
end)
