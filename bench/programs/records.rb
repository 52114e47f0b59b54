# SPDX-License-Identifier: MIT
# Hashes, strings and symbols, sorted and grouped; arrays that come and go.
state = 7
number = ->(n) { state = (state * 48_271) % 2_147_483_647; state % n }
records = Array.new(120_000) { |i| { id: i, name: "record #{i} #{'x' * number.(40)}", group: number.(300), tags: Array.new(number.(5)) { |k| "tag#{k}" } } }
groups = records.group_by { |r| r[:group] }
sizes = groups.transform_values { |rs| rs.sum { |r| r[:name].length + r[:tags].sum(&:length) } }
puts sizes.sort_by { |g, n| [-n, g] }.first(3).inspect
text = records.map { |r| "#{r[:id]}:#{r[:name]}" }.join("\n")
puts text.scan(/record 1\d+/).length, text.gsub("record", "item").length
5.times { records = records.map { |r| r.merge(seen: r[:id] * 2) }.reject { |r| r[:id] % 7 == 3 } }
puts records.length
