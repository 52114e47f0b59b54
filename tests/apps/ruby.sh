#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# ruby: strings, hashes, threads, fork and its garbage collector.
. "$(dirname "$0")/common.sh" "$1"
need ruby
work() {
  ruby - <<'RUBY'
rows = (0...40000).map { |i| { id: i, name: "n#{i}", tags: (0..i % 7).map(&:to_s) } }
puts rows.map { |r| r[:tags].join }.sum(&:length)
puts [1, 2, 3, 4].map { |n|
  Thread.new { (0...20000).map { |i| ("x" * (i * n % 500)).sum }.sum } }.map(&:value).inspect
GC.start; GC.compact if GC.respond_to?(:compact)
r, w = IO.pipe
pid = fork { r.close; w.write((0...50000).map { |i| i.to_s * 3 }.join.hash.class); exit!(0) }
w.close; puts r.read; Process.wait(pid); puts $?.exitstatus
RUBY
}
same objects_threads_fork work
