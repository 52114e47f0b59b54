#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `fallow replay`: the recorded calls in the recorded order, or in parallel, on any malloc, checked; bad
# files end with one line.
# Usage: replay_test.sh SOURCE BUILD
set -u
traces=$1/bench/traces build=$2
fallow=$build/fallow
. "$1/tests/tree/checks.sh"
played() {
  said=$(LD_PRELOAD=$preload "$fallow" replay "$@" 2>&1) ||
    { echo "failed: replay $* on '$preload': $said"; failed=1; }
}

preload=''
check replay_links_no_library_of_ours 0 "$(ldd "$fallow" | grep -c fallow)"
for file in lua handover; do
  played "$traces/$file.trace"
  wanted="$(figure operations) $(figure threads) $(figure live_bytes)" peak=$(figure live_peak)
  for mode in '' --parallel; do
    for preload in '' "$build/libfallow-malloc.so" $(ldconfig -p |
      sed -n 's/.*=> \(.*lib\(jemalloc\|mimalloc\|tcmalloc_minimal\)\.so\.[0-9]*\)$/\1/p'); do
      played $mode "$traces/$file.trace"
      library=$(basename "$preload")
      check "replay_${file}_${mode:-in_order}_on_${library:-system}" "$wanted" \
        "$(figure operations) $(figure threads) $(figure live_bytes)"
      [ -n "$mode" ] || [ "$(figure live_peak)" = "$peak" ] ||
        { echo "failed: live_peak $(figure live_peak), not $peak"; failed=1; }
    done
  done
done
preload=''
played --curve "$traces/lua.trace"
check replay_curve "51 2" "$(grep -cE '^[0-9]+ [0-9]+ [0-9]+$' <<<"$said") $(grep -c '[a-z]' <<<"$said")"
read -r highest last < <(awk '/^[0-9]/ && $2 > 0 { most = $2 > most ? $2 : most; last = $2 }
  END { print most, last }' <<<"$said")
check replay_curve_rises_and_falls 1 $((highest <= $(figure live_peak) && last < highest / 2))

# Recorded once more, a replay has the same calls by the same threads: in the same order, or
# in parallel in another.
cat >calls.py <<'PYTHON'
import sys

def calls(path, first):
    """The calls of a trace in order, as (thread, what, numbers but addresses), of the threads from the first
    one on."""
    text, at, thread, found = open(path, "rb").read(), 16, 0, []
    def number():
        nonlocal at
        value = shift = 0
        while True:
            value |= (text[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if text[at - 1] < 128:
                return value
    while text[at]:
        what, at = text[at], at + 1
        if what == 1:
            thread = number()
            continue
        numbers = [number() for _ in range({2: 2, 3: 2, 4: 3, 5: 1, 6: 2, 7: 1}[what])]
        if thread >= first:
            found.append((thread - first, what, {2: numbers[:1], 3: numbers[:1], 4: numbers[:2], 5: [],
                                                 6: numbers[1:], 7: []}[what]))
    return found

recorded, again = calls(sys.argv[1], 0), calls(sys.argv[2], 1)
by_thread = [sorted([it[1:] for it in those if it[0] == thread] for thread in range(3))
             for those in (recorded, again)]
print(len(recorded), len(again), by_thread[0] == by_thread[1], recorded == again)
PYTHON
if command -v python3 >/dev/null; then
  for mode in '' --parallel; do
    "$fallow" record -o again -- "$fallow" replay $mode "$traces/handover.trace" >/dev/null || failed=1
    check "replay_calls_${mode:-in_order}" "12123 12123 True $([ -n "$mode" ] && echo False || echo True)" \
      "$(python3 calls.py "$traces/handover.trace" again)"
    played again
    check "replay_blocks_${mode:-in_order}" 0 "$(figure blocks_before_the_trace)"
  done
fi

# A malloc that loses what is in a block, or hands one out twice, does not get away with it; for a
# slow one who frees waits.
cat >bad.c <<'EOF2'
#include <stdlib.h>
#include <unistd.h>
void *__libc_malloc(size_t);
void __libc_free(void *);
#ifdef TWICE
static char ground[1 << 16];
void *malloc(size_t bytes) { return bytes < 2000 || bytes > sizeof ground ? __libc_malloc(bytes) : ground; }
void free(void *block) { if (block != ground) __libc_free(block); }
#elif defined(SLOW)
void *malloc(size_t bytes) { if (bytes >= 4000) usleep(2000); return __libc_malloc(bytes); }
#else
void *realloc(void *block, size_t bytes) { return block ? calloc(1, bytes) : __libc_malloc(bytes); }
#endif
EOF2
cc -shared -fPIC -fno-builtin bad.c -o loses.so && cc -shared -fPIC -fno-builtin -DTWICE bad.c -o twice.so &&
  cc -shared -fPIC -fno-builtin -DSLOW bad.c -o slow.so || failed=1
for malloc in loses:lua twice:handover; do
  said=$(LD_PRELOAD=$folder/${malloc%:*}.so "$fallow" replay "$traces/${malloc#*:}.trace" 2>&1)
  check "replay_finds_a_malloc_that_${malloc%:*}" \
    "1 fallow: replay: a block does not contain what was written to it" "$? $said"
done
preload=$folder/slow.so
played --parallel "$traces/handover.trace"
check replay_waits_for_blocks 12123 "$(figure operations)"

refused() { # FILE WHY
  said=$("$fallow" replay "$1" 2>&1)
  check "replay_refuses: $2" "2 fallow: $1: $2" "$? $said"
}
trace=$traces/handover.trace
mkdir folder && : >empty && echo nonsense >nonsense && mkfifo pipe &&
  printf 'fallow trace 1\n\0\x09\0' >unheard-of
# A last number that looks like an end; a thread that cannot be.
printf 'fallow trace 1\n\0\x02\x10\0' >endless &&
  printf 'fallow trace 1\n\0\x01\xff\xff\xff\xff\xff\x7f\x06\x02\x10\0' >threads
{ printf 'fallow trace 2\n\0'; tail -c +17 "$trace"; } >newer
refused absent 'No such file or directory'
refused folder 'Is a directory'
refused pipe 'not a regular file'
refused empty 'an empty file'
refused nonsense 'not a trace'
refused newer 'a trace of another version; this fallow replays version 1'
refused unheard-of 'a damaged trace'
refused threads 'a damaged trace'
refused endless 'a truncated trace'
for bytes in 17 1000 20000 $(($(wc -c <"$trace") - 1)); do
  head -c "$bytes" "$trace" >short
  refused short 'a truncated trace'
done
said=$("$fallow" replay 2>&1)
check replay_wants_a_file "2 fallow: replay: no file given" "$? $said"

# Whatever stands in a file, the command ends by itself.
if command -v python3 >/dev/null; then
  said=$(ulimit -v 4000000; python3 - "$fallow" "$trace" <<'PYTHON'
import collections, random, subprocess, sys
text, seed = bytearray(open(sys.argv[2], "rb").read()[:3000]) + b"\0", 1
random.seed(seed)
ends = collections.Counter()
for n in range(200):
    bad = bytearray(text)
    for _ in range(random.choice([1, 5, 50])):
        bad[random.randrange(16, len(bad))] = random.randrange(256)
    open("damaged", "wb").write(bad)
    done = subprocess.run([sys.argv[1], "replay"] + ["--parallel"] * (n % 2) + ["damaged"],
                          capture_output=True, timeout=60)
    wanted = {0: done.stdout.count(b"\n") == 2 and not done.stderr}.get(
        done.returncode, done.stderr.count(b"\n") == 1 and done.stderr.startswith(b"fallow: "))
    ends[done.returncode if wanted else "bad"] += 1
print("ends well" if set(ends) <= {0, 1, 2} else "seed %d: %s" % (seed, ends))
PYTHON
  )
  check replay_of_damaged_files "ends well" "$said"
fi
exit $failed
