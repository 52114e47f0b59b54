-- A tenant as most are: a little work for each request.
local count = 0
function handle(what)
  count = count + 1
  local words = {}
  for i = 1, 50 do words[i] = "word" .. i end
  return "hello " .. count .. " " .. #table.concat(words, " ") .. "\n"
end
