-- A tenant that keeps much, within its limit.
local kept, next = {}, 1
function handle(what)
  kept[next % 2000] = string.rep("x", 1000 + next % 500)
  next = next + 1
  return "kept " .. #kept .. "\n"
end
