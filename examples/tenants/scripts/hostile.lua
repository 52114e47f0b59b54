-- A tenant that eats all that it is given, and again.
local eaten = {}
function handle(what)
  while true do eaten[#eaten + 1] = string.rep("x", 10000) .. #eaten end
end
