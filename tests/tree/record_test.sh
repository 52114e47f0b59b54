#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `fallow record` and the replay of what it wrote: all events, threads, forks, violent ends.
# Usage: record_test.sh SOURCE BUILD
set -u
build=$2
fallow=$build/fallow
. "$1/tests/tree/checks.sh"
played() { said=$("$fallow" replay "$1" 2>&1) || { echo "failed: replay of $1: $said"; failed=1; }; }

"$fallow" record -o few -- "$build/tests/instructions" 1 1000 &&
  "$fallow" record -o many -- "$build/tests/instructions" 1 3000
played few; few=$(figure operations)
played many; many=$(figure operations)
check record_every_event 4000 $((many - few))

"$fallow" record -o hand -- "$build/bench/workload_prodcons" blocks=6000 batch=60 >/dev/null
played hand
check record_threads 3 "$(figure threads)"
check record_frees_by_others_find_their_block 0 "$(figure blocks_before_the_trace)"
[ "$(figure live_bytes)" -lt 20000 ] && echo "ok record_nothing_lost" ||
  { echo "failed: live at the end: $said"; failed=1; }

"$fallow" record -o torn -- bash -c '(:); ls / >/dev/null; x=$(seq 1000); kill -9 $$' 2>/dev/null
played torn
[ "$(figure operations)" -gt 500 ] && echo "ok record_survives_a_violent_end" ||
  { echo "failed: $said"; failed=1; }
children=0
for file in torn.*; do played "$file" && children=$((children + 1)); done
[ $children -ge 2 ] && echo "ok record_children_have_files_of_their_own" ||
  { echo "failed: $children children"; failed=1; }

# Forks from signal handlers that interrupt malloc, and while others hold what the C library takes in a fork.
rm -f torn*
said=$(timeout -k 1 200 "$fallow" record -o forks -- "$build/tests/signal_fork_test" 2>&1)
check record_forks_from_signal_handlers "0 6" "$? $(grep -c ^ok <<<"$said")"
rm -f forks*

# A library whose constructor comes before ours, and wants much; an alignment that is none.
place=$(mktemp -d)
cat >"$place/early.c" <<'C'
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
static char *table;
__attribute__((constructor)) static void start(void) {
    table = malloc(3000000);
    if (table) memset(table, 6, 3000000);
}
int early(void) { free(memalign(0, 100)); return table ? table[2999999] : 1; }
C
echo 'int early(void); int main(void) { return early(); }' >"$place/main.c"
gcc -fno-builtin -shared -fPIC -o "$place/libearly.so" "$place/early.c" &&
  gcc -o "$place/main" "$place/main.c" -L"$place" -learly -Wl,-rpath,"$place"
"$fallow" record -o early -- "$place/main"
check record_serves_constructors_of_any_size 6 $?
rm -rf "$place" early

# What a program prints, and how it ends, does not change.
check record_output_and_status "3 7" "$("$fallow" record -o out -- sh -c 'echo 3; exit 7') $?"
said=$("$fallow" record -- true 2>&1)
check record_wants_a_file "fallow: record: no file given; expected -o FILE" "$said"
exit $failed
