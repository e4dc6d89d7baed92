-- SPDX-License-Identifier: MIT
-- Answers every event with an entry in the deny map: the whole way of an event, and little Lua.
on("flow", function(src)
  block(src, 60)
end)

on("deny", function(src)
  block(src, 60)
end)
