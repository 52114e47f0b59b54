#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tools/compare takes any allocator, proves who serves before it measures, and stops with
# one line where it cannot.
set -u
source=$1 build=$2
command -v python3 >/dev/null || { echo "skipped compare_test: no python3"; exit 77; }
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place" || exit 1
failed=0
fail() { echo "failed: $*"; failed=1; }
passed() { [ "$failed" = "$1" ] && echo "ok $2"; }
# By the Python that tools/compare takes, and by the one that is first here.
compare() {
  "${python:-/usr/bin/python3}" -B "$source/tools/lib/compare.py" --build "$build" --out out --repeat 0 "$@" \
    >said 2>&1
}
result() { python3 -c "import json; it = json.load(open('out/results.json')); print($1)"; }
program=(python3 -c 'import time; held = [str(n) for n in range(100000)]; time.sleep(0.1); print(len(held))')

# Libraries and builds under names of the user's, relative to where he is; who served is seen in each.
before=$failed
cp "$build/libfallow-malloc.so" mine.so && mkdir older && cp mine.so older/libfallow-malloc.so ||
  fail "cannot copy"
python=python3 compare --only fallow --rounds 1 -- "${program[@]}" ||
  fail "on another Python: $(tail -3 said)"
compare --with mine=mine.so --with yours=./mine.so --against older --rounds 1 -- "${program[@]}" ||
  fail "ended with $?: $(tail -3 said)"
[ "$(result 'sorted(set(it["allocators"]) - {"jemalloc"})')" = \
  "['fallow', 'mine', 'older', 'system', 'yours']" ] || fail "allocators: $(result 'it["allocators"]')"
[ "$(result 'all(cell["watched"]["served"] for cell in it["results"]["python3"].values())')" = True ] ||
  fail "not seen to serve: $(tail -30 said)"
passed $before compare_takes_any_library

# A configured one is seen by its options and its thread; the program's own options do not meddle.
before=$failed
if compare --only jemalloc-background --only jemalloc-decay0 --rounds 1 -- "${program[@]}"; then
  [ "$(result '[cell["watched"]["served"] for cell in it["results"]["python3"].values()]')" = \
    '[True, True]' ] || fail "not seen: $(tail -30 said)"
  result 'it["facts"]["allocators"]["jemalloc-background"]["options"]' | grep -q background_thread:true ||
    fail "options are not in the facts"
  passed $before compare_configures_jemalloc
else
  grep -q '^compare: no library for jemalloc' said || fail "$(tail -3 said)"
  echo "skipped compare_configures_jemalloc: no jemalloc"
fi

before=$failed # The same library against itself is reported as that, whatever its rounds.
for name in fallow system; do
  compare --aa $name --rounds 1 -- "${program[@]}" || fail "ended with $?: $(tail -3 said)"
  [ "$(result '(it["allocators"],
    [cell["watched"]["served"] for cell in it["results"]["python3"].values()])')" = \
    "(['$name', 'copy'], [True, True])" ] ||
    fail "$(result 'it["allocators"]'): $(tail -30 said)"
  grep -q 'The same library against itself' out/report.md &&
    grep -q 'The same library against itself' out/report.html || fail "$(cat said)"
done
passed $before compare_with_itself

before=$failed # On one processor it ends as elsewhere, and says so.
one=$(taskset -pc $$ | sed 's/.*: *//; s/[-,].*//')
taskset -c "$one" python3 -B "$source/tools/lib/compare.py" --build "$build" --out out --only system \
  --only fallow --rounds 1 -- "${program[@]}" >said 2>&1 ||
  fail "ended with $?: $(tail -3 said)"
grep -q 'It could use one processor' out/report.md || fail "$(cat said)"
passed $before compare_on_one_processor

mkdir bin # a perf that counts 101, 102, ...; says so of what it is to leave out; or may not count at all
cat >bin/perf <<'EOF'
#!/bin/bash
while [ "$1" != -- ]; do
  case $1 in -o) out=$2 ;; -e) IFS=, read -ra events <<<"$2" ;; esac
  shift
done
shift
[ -z "${PERF_FORBIDDEN:-}" ] || exit 255
"$@"
status=$? n=100
{
  echo "# started on a day"
  for event in "${events[@]}"; do
    n=$((n + 1))
    [[ " ${PERF_LACKS:-} " == *" $event "* ]] && echo "<not supported>,,$event,0,100.00,," ||
      echo "$n,,$event:u,1,100.00,,"
  done
} >"$out"
exit $status
EOF
chmod +x bin/perf
with_perf() { # the same, on a machine with that perf
  PATH=$place/bin:$PATH compare --only system --only fallow --rounds 2 "$@" -- "${program[@]}" ||
    fail "ended with $?: $(tail -3 said)"
}

before=$failed # Counters are in each run that counts, in the report, or one line says why they are not.
with_perf
[ "$(result '[[run[key] for key in ("cycles", "instructions", "cache_misses", "tlb_misses")]
  for run in it["results"]["python3"]["fallow"]["runs"]]')" = \
  '[[101, 102, 103, 104], [101, 102, 103, 104]]' ] ||
  fail "not counted: $(tail -30 said)"
[ "$(result '"cycles" in it["results"]["python3"]["fallow"]["watched"] or
  it["results"]["python3"]["fallow"]["watched"]["served"]')" = True ] || fail "not watched"
grep -q '^| mean ratio, cycles *| 1 *| 1.000' said || fail "not reported: $(cat said)"
PERF_LACKS="cache-misses dTLB-load-misses" with_perf
grep -q '^counters, by perf: cycles, instructions$' said && grep -q '^| M cycles / M instructions  *|' said ||
  fail "half the counters: $(cat said)"
PERF_LACKS="cycles instructions cache-misses dTLB-load-misses" with_perf
grep -q '^no counters: perf finds none of cycles' said || fail "no counters: $(cat said)"
PERF_FORBIDDEN=1 with_perf
grep -q '^no counters: the kernel does not let perf count .*; --instructions' said ||
  fail "forbidden: $(cat said)"
with_perf --no-counters
grep -q 'M cycles' said && fail "counted although not wanted: $(cat said)"
passed $before compare_counts_where_perf_does

before=$failed # Instructions are the same each time, and counted where there is one thread.
instructions() { result '[cell.get("callgrind") for cell in next(iter(it["results"].values())).values()]'; }
if command -v valgrind >/dev/null; then
  compare --aa system --rounds 1 --instructions -- sh -c 'sleep 0.1; expr 1 + 2' ||
    fail "ended with $?: $(tail -3 said)"
  first=$(instructions)
  [[ $first =~ ^\[([0-9]+),\ ([0-9]+)\]$ && ${BASH_REMATCH[1]} = "${BASH_REMATCH[2]}" &&
    ${BASH_REMATCH[1]} -gt 100000 ]] || fail "instructions: $first: $(tail -30 said)"
  compare --only system --rounds 1 --instructions -- \
    python3 -c 'import threading, time; threading.Thread(target=time.sleep, args=[0.2]).start()' ||
    fail "ended with $?"
  [ "$(instructions)" = '[None]' ] && grep -q '^instructions, by callgrind, .*: 0 of 1$' said ||
    fail "of two threads: $(cat said)"
fi
rm bin/perf && ln -s /usr/bin/python3 bin/
PATH=$place/bin /usr/bin/python3 -B "$source/tools/lib/compare.py" --build "$build" --out out --only system \
  --rounds 1 --instructions -- python3 -c 0 >said 2>&1 || fail "ended with $?"
grep -q '^no counters: there is no perf command' said &&
  grep -q '^no instructions: there is no valgrind' said || fail "with neither: $(cat said)"
passed $before compare_counts_instructions

stops() { # pattern arguments...: one line that says why, and nothing measured
  local pattern=$1
  shift
  rm -rf out
  compare "$@" --rounds 1 -- "${program[@]}" && fail "went on with $*"
  grep -q "^compare: .*$pattern" said || fail "$*: $(cat said)"
  grep -q Traceback said && fail "$*: $(cat said)"
  [ ! -e out ] || fail "measured with $*"
}

before=$failed
echo 'int malloced;' | cc -shared -fPIC -x c - -o none.so && echo garbage >garbage.so || fail "cannot build"
echo '#include <stddef.h>
void *malloc(size_t n) {
  static char ground[1 << 26]; static size_t used;
  void *at = ground + used; used += (n + 15) & ~15ul; return at; }' |
  cc -shared -fPIC -x c - -o half.so || fail "cannot build"
stops 'none would not serve: .*malloc, free, .*from libc' --with none=none.so
stops 'garbage would not serve: .*cannot be preloaded' --with garbage=garbage.so
stops 'there is no file nowhere.so' --with nowhere=nowhere.so
stops 'there is no libfallow-malloc.so in' --against .
stops 'two allocators would be called system' --with system=mine.so
stops 'no library for unheard-of' --with unheard-of
stops 'no library for unheard-of' --aa unheard-of
cp mine.so 'a b.so'
stops 'space or a colon' --with 'x=a b.so'
echo plain >file
compare --out file/below --rounds 1 -- "${program[@]}" && fail "wrote below a file"
[ "$(grep -c . said)" = 1 ] && grep -q '^compare: cannot write to .*/file/below: Not a directory$' said ||
  fail "below a file: $(cat said)"
compare --with half=half.so --only half --rounds 1 -- "${program[@]}"
grep -q '^half: not even a Python runs on it' said &&
  result 'it["results"]["python3"]["half"]["error"]' | grep -q 'signal' ||
  fail "half a family: $(tail -30 said)"
passed $before compare_stops_where_another_would_serve
exit $failed
