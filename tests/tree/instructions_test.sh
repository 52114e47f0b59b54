#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Instructions of the fast paths, exact, against the golden file: changed only on purpose. Counted by
# callgrind as the difference of two runs. Usage: instructions_test.sh SOURCE BUILD
# To change the golden file after a change that is meant: run this with --golden as a third argument.
set -u
source=$1 build=$2
command -v valgrind >/dev/null || { echo "no valgrind"; exit 77; }
gcc --version | head -1 | grep -q ' 12\.' || { echo "the golden file is for gcc 12"; exit 77; }
golden=$source/tests/tree/instructions.golden
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# OPERATION TIMES: instructions in our library alone, so that neither the loop nor the C library's
# memset counts
count() {
  LD_PRELOAD=$build/libfallow-malloc.so valgrind --tool=callgrind --callgrind-out-file="$folder/out" \
    "$build/tests/instructions" "$1" "$2" >/dev/null 2>&1
  callgrind_annotate --threshold=100 "$folder/out" |
    awk '/libfallow-malloc/ { gsub(",", "", $1); n += $1 } END { print n + 0 }'
}
each() { echo $((($(count "$1" 3000) - $(count "$1" 1000) + 1000) / 2000)); }
{ echo "malloc+free $(each 1)"; echo "calloc+free $(each 2)"; echo "realloc $(each 3)"
  echo "aligned_alloc+free $(each 5)"
  echo "a thread's life, in hundreds $((($(each 4) + 50) / 100))"; } >"$folder/counts"
[ "${3:-}" = --golden ] && { cp "$folder/counts" "$golden"; cat "$golden"; exit 0; }
diff "$golden" "$folder/counts" && echo "ok instructions: $(paste -sd' ' "$folder/counts")" ||
  { echo "failed: instructions of fast paths are not those of $golden (< golden, > now)"; exit 1; }
