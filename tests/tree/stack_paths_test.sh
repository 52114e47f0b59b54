#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# No path from malloc and its family needs more than 2 KiB of stack, by what the compiler says of each
# function and of who calls whom: the bound over all paths, also those that no test comes to.
# (tests/malloc/stack_test.c measures those that one does.)
# Usage: stack_paths_test.sh SOURCE
set -u
source=$1
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place" || exit 1
echo 'int f(void) { return 0; }' >try.c
gcc -O3 -fcallgraph-info=su -c try.c 2>/dev/null && [ -s try.ci ] ||
  { echo "skipped stack_paths: no gcc with -fcallgraph-info"; exit 77; }
rm -f try.*
for file in "$source"/src/{system,osmem,arena,profile,slab,heap,embed,malloc}/*.c; do
  gcc -std=c11 -O3 -I"$source/include" -fPIC -fvisibility=hidden -ftls-model=initial-exec \
    -fno-builtin-malloc -fno-builtin-free -fno-builtin-calloc -fno-builtin-realloc -fexceptions \
    -fcallgraph-info=su -c "$file" -o "$(basename "$file" .c).o" ||
    { echo "failed: $file does not compile"; exit 1; }
done
cat >paths.awk <<'EOS'
# Functions of the C library that are called: the deepest of them needs 120 bytes (sysconf; glibc 2.36,
# painted). What pthread_setspecific needs is not in it: for a process's 33rd key and above it calls
# calloc once in each thread.
BEGIN { FOREIGN = 128 }
# Where the compiler sees a call through a pointer: whom it may lead to, by function, or by the file that it
# stands in. "": not ours to count (a shedder), or code of the kernel's.
BEGIN {
  to["osmem"] = to["standin"] = "^[^ ]*backend_linux.c:(linux|lazy)_"
  to["osmem_unused_ranges"] = "^[^ ]*backend_linux.c:(linux|lazy)_unused$"
  to["osmem_used"] = "^[^ ]*backend_linux.c:linux_used$"
  to["ledger"] = "^[^ ]*ledger.c:(take|give)$"
  to["regions"] = "^[^ ]*regions.c:(free|unmap)_chunks$"
  to["scavenger"] = "^(fl_heap_reclaim|[^ ]*driver.c:is_worth_it)$"
  to["moves"] = "^fl_pagebits_(set|clear)$"
  to["growth"] = to["huge"] = "^osmem_(no_)?huge_page$"
  to["upkeep"] = "^[^ ]*scavenger.c:(is_worth_asking|is_any|ask)$"
  to["shed"] = to["system_linux"] = ""
}
# These end the process, or are no part of what is promised: the making of fallow's thread; the
# checker, which is not there.
function left_out(name) {
  return name ~ /(^|:)(fl_fatal|fl_misuse[a-z_.0-9]*|stop[a-z_.0-9]*|fl_system_start_thread|fl_checker_.*)$/
}
FNR == 1 { unit = FILENAME; sub(/\.ci$/, "", unit) }
/^node:/ {
  split($0, part, "\"")
  name = part[2]
  if (match(part[4], /[0-9]+ bytes/)) own[name] = substr(part[4], RSTART, RLENGTH) + 0
}
/^edge:/ {
  split($0, part, "\"")
  if (part[4] == "__indirect_call") pointers[part[2]] = unit
  else calls[part[2]] = calls[part[2]] " " part[4]
}
# The deepest from a function on, with the return address that its call pushes.
function depth(name,   list, count, i, d, best, via, key) {
  if (left_out(name) || (name in under_way)) return 0
  if (name in known) return known[name]
  if (!(name in own) && name != "pthread_once") { way[name] = name "?"; return known[name] = FOREIGN }
  under_way[name] = 1
  count = split(calls[name], list, " ")
  if (name in pointers) {
    key = name in to ? name : pointers[name]
    if (!(key in to)) {
      print "failed: a call through a pointer that this test does not know of, in " name; bad = 1
    } else if (to[key] != "") for (i in own) if (i ~ to[key]) list[++count] = i
  }
  if (name == "pthread_once") for (i in own) if (i ~ /thread\.c:init$/) list[++count] = i
  best = 0; via = ""
  for (i = 1; i <= count; i++) {
    d = depth(list[i])
    if (d > best) { best = d; via = way[list[i]] }
  }
  delete under_way[name]
  i = name; sub(/.*:/, "", i)
  d = name in own ? own[name] : FOREIGN
  way[name] = i " " d " > " via
  return known[name] = d + 8 + best
}
END {
  count = split("malloc calloc realloc reallocarray memalign aligned_alloc posix_memalign valloc pvalloc " \
                "malloc_usable_size free", family, " ")
  for (f = 1; f <= count; f++) {
    if (!(family[f] in own)) { print "failed: no " family[f]; bad = 1; continue }
    d = depth(family[f])
    if (d > most) { most = d; deepest = way[family[f]] }
    if (d > 2048) { print "failed: " family[f] " may need " d " bytes: " way[family[f]]; bad = 1 }
  }
  print "at most " most " bytes: " deepest
  exit bad
}
EOS
awk -f paths.awk -- *.ci && echo "ok stack_paths_are_short"
