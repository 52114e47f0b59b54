-- SPDX-License-Identifier: MIT
-- Tables in tables, strings built and dropped, closures, collection.
local state = 1
local function number(n) state = (state * 48271) % 2147483647; return state % n end
local function tree(depth) if depth == 0 then return { n = number(100) } end
  return { tree(depth - 1), tree(depth - 1), n = number(100) } end
local function sum(t) return t.n + (t[1] and sum(t[1]) + sum(t[2]) or 0) end
local total = 0
for _ = 1, 12 do total = total + sum(tree(14)) end
local words, order = {}, {}
for i = 1, 300000 do
  local w = "word" .. number(20000)
  if not words[w] then words[w] = {}; order[#order + 1] = w end
  table.insert(words[w], i)
end
table.sort(order)
local parts = {}
for i, w in ipairs(order) do parts[i] = w .. "=" .. #words[w] end
local text = table.concat(parts, ";")
print(total, #order, #text, (text:gsub("word1", "x")):len())
