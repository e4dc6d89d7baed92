-- SPDX-License-Identifier: MIT
-- genl-watch.lua: says what ethtool changes of an interface, and keeps offloads as XDP needs them
--
--   xdpctl policy load examples/policies/genl-watch.lua
--   xdpctl policy load examples/policies/genl-watch.lua on=rx-gro off=rx-lro,rx-gro-hw --genl ethtool
--
-- ethtool tells the group `monitor` of each change, whoever makes it. With `on` and `off` those offloads are put back:
-- that changes the system, and so takes `--genl ethtool`.

-- Messages of linux/ethtool_netlink.h that say that something changed.
local CHANGED = {
  [3] = "link settings", [5] = "link modes", [8] = "debug flags", [10] = "wake-on-LAN", [15] = "private flags",
  [17] = "rings", [19] = "channels", [21] = "coalescing", [23] = "pause frames", [25] = "EEE", [31] = "FEC",
}
local FEATURES_GET, FEATURES_SET, FEATURES_CHANGED = 11, 12, 13
local HEADER, WANTED, ACTIVE = 1, 3, 4 -- attributes of those

local wanted = {}
for name in (args.on or ""):gmatch("[^,]+") do wanted[name] = true end
for name in (args.off or ""):gmatch("[^,]+") do wanted[name] = false end

local known = {} -- interface → set of the offloads that are on

-- The names in a set of bits: each that is listed is on.
local function names(bits)
  local set = {}
  for _, bit in ipairs(bits:nested(3) or {}) do
    set[genl.attributes(bit.data):string(2)] = true
  end
  return set
end

local function set(interface, name, on)
  local bit = { { 2, name } }
  if on then bit[2] = { 3, true } end
  local request = { { HEADER, { { 2, interface } } }, { WANTED, { { 3, { { 1, bit } } } } } }
  genl.call("ethtool", FEATURES_SET, request, function(answers, problem)
    log("%s: %s is to be %s: %s", interface, name, on and "on" or "off", problem or "put back")
  end)
end

local function learn(answer)
  local header, active = answer.attributes:nested(HEADER), answer.attributes:nested(ACTIVE)
  if not header or not active then return end
  local interface, now_on = header:string(2), names(active)
  local before = known[interface]
  known[interface] = now_on
  if before then
    for name in pairs(now_on) do if not before[name] then log("%s: %s on", interface, name) end end
    for name in pairs(before) do if not now_on[name] then log("%s: %s off", interface, name) end end
  end
  for name, on in pairs(wanted) do
    if (now_on[name] or false) ~= on then set(interface, name, on) end
  end
end

-- Where a loss or a pause hid changes, all is read anew.
local function read_all()
  genl.dump("ethtool", FEATURES_GET, { { HEADER, {} } }, function(answers, problem)
    if problem then log("reading the offloads: %s", problem) end
    for _, answer in ipairs(answers or {}) do learn(answer) end
  end)
end

on("genl", "ethtool", "monitor", function(event)
  local header = event.attributes:nested(HEADER)
  local interface = header and header:string(2)
  if not interface then return end
  if CHANGED[event.command] then
    log("%s: %s changed", interface, CHANGED[event.command])
  elseif event.command == FEATURES_CHANGED then
    genl.call("ethtool", FEATURES_GET, { { HEADER, { { 2, interface } } } }, function(answers)
      if answers then learn(answers[1]) end
    end)
  end
end, read_all)

on("link", function(interface, action)
  if action == "delete" then known[interface] = nil elseif action == "new" then read_all() end
end)

read_all()
