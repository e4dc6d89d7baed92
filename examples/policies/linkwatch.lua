-- SPDX-License-Identifier: MIT
-- linkwatch.lua: says when links come and go, and puts a program back on an interface that comes back
--
--   xdpctl policy load examples/policies/linkwatch.lua
--   xdpctl policy load examples/policies/linkwatch.lua flaps=3 window=30

local flaps = tonumber(args.flaps or 5)    -- changes of the carrier…
local window = tonumber(args.window or 60) -- …in so many seconds make a bad cable

-- Scripts can't ask what is attached: programs that were there before this was loaded are not put back.
state.programs = state.programs or {} -- interface → the program that was on it
state.links = state.links or {}       -- interface → what is known of it

on("xdp", function(interface, action, program)
  log("%s: %s %s", interface, program, action)
  if action == "attach" or action == "replace" then
    state.programs[interface] = program
  elseif action == "detach" then
    state.programs[interface] = nil -- somebody wanted that
  end
end)

on("link", function(interface, action, up, carrier)
  if action == "delete" then
    log("%s: gone", interface)
    state.links[interface] = nil
    return
  end

  local link = state.links[interface]
  if not link then
    link = { carrier = carrier, changes = 0, since = now() }
    state.links[interface] = link
  elseif link.carrier ~= carrier then
    if now() - link.since > window then link.changes, link.since = 0, now() end
    link.carrier, link.changes = carrier, link.changes + 1
    log("%s: carrier %s", interface, carrier and "on" or "lost")
    if link.changes == flaps then log("%s: %d changes in %d s: a bad cable?", interface, flaps, window) end
  end

  local program = state.programs[interface]
  if action == "new" and program then
    load(program, interface, function(ok, message)
      log("%s is back: %s", interface, ok and program .. " loaded again" or message)
    end)
  end
end)
