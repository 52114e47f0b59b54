#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A known leak is named by its line: in C, in C++, by every function that allocates, in a stripped
# program with separate symbols, and in one that runs; amounts are right within what chance allows;
# pprof reads what is written.
# Usage: profile_test.sh SOURCE BUILD
set -u
source=$1 build=$2 fallow=$2/fallow
command -v addr2line >/dev/null || { echo "skipped profile: no addr2line"; exit 77; }
work=$(mktemp -d)
running=
trap '[ -z "$running" ] || kill "$running" 2>/dev/null; rm -rf "$work"' EXIT
failed=0
fail() { echo "failed: $*"; failed=1; }
here=$source/tests/profile
gcc -O2 -g -fno-omit-frame-pointer -fno-optimize-sibling-calls -fno-builtin -o "$work/leak" "$here/leak.c" &&
  g++ -O2 -g -fno-omit-frame-pointer -fno-optimize-sibling-calls -fno-builtin -o "$work/leakcc" \
    "$here/leak.cc" || { fail "programs do not compile"; exit 1; }
line() { grep -n "LEAK $2 \*/" "$here/$1" | cut -d: -f1; }

# profile MEAN PROGRAM...: what it has sampled when it ends.
profile() {
  local mean=$1; shift
  rm -f "$work/out"
  LD_PRELOAD=$build/libfallow-malloc.so FALLOW_OPTIONS=profile:$mean,profile_file:$work/out "$@" ||
    fail "$* ended with $?"
}
# first FILE ARGUMENT...: the function and line of the site with the most bytes
first() { "$fallow" profile "$@" | sed -n '/ blocks, in arena malloc$/{n;p;q}' | sed 's/^ *//'; }
names() {
  [ "$(first "$work/out")" = "keep$3  $1:$(line "$1" "$2")" ] && echo "ok profile_names_the_line_of_$2$4" ||
    { fail "$2: '$(first "$work/out")'"; "$fallow" profile "$work/out"; }
}

for how in malloc calloc realloc aligned; do
  profile 8k "$work/leak" $how
  names leak.c $how "" ""
done
profile 512k "$work/leak" large
names leak.c large "" ""
profile 8k "$work/leakcc"
names leak.cc new "()" ""

# A file that cannot be written is told by its path, and the program ends as ever.
said=$(LD_PRELOAD=$build/libfallow-malloc.so FALLOW_OPTIONS=profile:64k,profile_file:/nowhere/out \
  "$work/leak" malloc 2>&1) || fail "ended with $? for want of a file"
[ "$said" = "fallow: option 'profile_file:/nowhere/out': cannot write that file" ] &&
  echo "ok profile_file_that_cannot_be_written" || fail "of a file that cannot be written: $said"

# A stripped program, whose symbols lie beside it.
(cd "$work" && objcopy --only-keep-debug leak leak.debug && strip -g -s leak -o stripped &&
  objcopy --add-gnu-debuglink=leak.debug stripped) || fail "no separate symbols"
profile 8k "$work/stripped" malloc
names leak.c malloc "" "_with_separate_symbols"

# A filter that ends the process for calls that memory does not need leaves a sampled one alone
# (docs/sandboxes.md).
gcc -O1 -fno-omit-frame-pointer -fno-builtin -o "$work/sandboxed" "$here/sandboxed.c" ||
  fail "sandboxed.c does not compile"
LD_PRELOAD=$build/libfallow-malloc.so FALLOW_OPTIONS=profile:1 "$work/sandboxed"
case $? in
  0) echo "ok profile_in_a_sandbox" ;;
  77) echo "skipped profile_in_a_sandbox: no filter" ;;
  *) fail "a filter ends a sampled process" ;;
esac

# Of a pair that stays on the fast path every byte is as likely a sample as any other: 200,000,000 bytes in
# samples of 4 KiB, by a normal distribution within 6 of its widths (0.45 % each); of what is kept, 6,000,000
# in samples of 4 KiB (2.6 % each).
profile 4k "$work/leak" malloc
"$fallow" profile --total --collapsed "$work/out" >"$work/collapsed"
bytes() {
  awk -v name="$1" '{ n = $NF; $NF = ""; if ($0 ~ ";" name " *$") sum += n } END { printf "%.0f\n", sum }' \
    "$work/collapsed"
}
pair=$(bytes pair) keep=$(bytes keep)
[ "$pair" -gt 194600000 ] && [ "$pair" -lt 205400000 ] && echo "ok profile_of_one_pair_has_no_bias" ||
  fail "a pair that allocates 200000000 bytes: $pair"
[ "$keep" -gt 5060000 ] && [ "$keep" -lt 6940000 ] && echo "ok profile_of_kept_bytes_has_no_bias" ||
  fail "what keeps 6000000 bytes: $keep"
live=$("$fallow" profile --collapsed "$work/out" | awk '{ sum += $NF } END { printf "%.0f\n", sum }')
[ "$live" -gt 5060000 ] && [ "$live" -lt 7000000 ] && echo "ok profile_frees_are_noticed" ||
  fail "6000000 bytes live: $live"

# In a process that runs: off, on, off again; what it had before is not shown.
LD_PRELOAD=$build/libfallow-malloc.so "$work/leak" malloc slowly & running=$!
sleep 0.5
if "$fallow" profile --seconds 2 --mean 512 -o "$work/seen" "$running" 2>"$work/why"; then
  grep -q "keep  leak.c:$(line leak.c malloc)" "$work/seen" && echo "ok profile_of_a_running_process" ||
    { fail "a running process"; cat "$work/seen"; }
  "$fallow" profile --now --total --collapsed "$running" >"$work/one"; sleep 1
  "$fallow" profile --now --total --collapsed "$running" >"$work/two"
  [ -s "$work/one" ] && cmp -s "$work/one" "$work/two" && echo "ok profile_is_off_again" ||
    fail "it is still sampled"
  # The first of two would switch sampling off for the second, which is told so.
  "$fallow" profile --seconds 3 --mean 512 -o "$work/seen" "$running" 2>/dev/null & first=$!
  sleep 1
  "$fallow" profile --seconds 1 --mean 512 "$running" >/dev/null 2>"$work/why" && fail "a second one looks on"
  grep -q '^fallow: .*another `fallow profile` looks at it' "$work/why" ||
    fail "a second one: $(cat "$work/why")"
  wait $first || fail "the first of two"
  "$fallow" profile --start --mean 512 "$running"
  "$fallow" profile --seconds 2 -o "$work/seen" "$running" & first=$!
  sleep 0.5
  "$fallow" profile --seconds 1 -o "$work/two" "$running" && wait $first && [ -s "$work/two" ] &&
    [ -s "$work/seen" ] && echo "ok profile_looks_on_alone_or_changes_nothing" || fail "two that only look"
else
  grep -q "can be read and not be written\|fallow:" "$work/why" &&
    echo "skipped profile_of_a_running_process: $(cat "$work/why")"
fi
kill "$running"; running=

# Differences: a profile less itself is nothing.
[ -z "$("$fallow" profile --collapsed --base "$work/out" "$work/out")" ] &&
  echo "ok profile_difference_with_itself_is_nothing" || fail "a difference with itself"
# What is no profile is said to be none.
echo nonsense >"$work/nonsense"
"$fallow" profile "$work/nonsense" 2>/dev/null && fail "nonsense is taken for a profile"

# pprof: the program, or the one that Go comes with.
pprof=$(command -v pprof || true)
go=$(command -v go || ls /usr/lib/go-*/bin/go 2>/dev/null | tail -1)
[ -n "$pprof" ] || { [ -n "$go" ] && pprof="$go tool pprof"; }
if [ -n "$pprof" ]; then
  "$fallow" profile --pprof -o "$work/out.pb" "$work/out"
  $pprof -top -lines -sample_index=inuse_space "$work/leak" "$work/out.pb" >"$work/top" 2>"$work/errors"
  grep -q "keep .*leak.c:$(line leak.c malloc)" "$work/top" && echo "ok profile_pprof_names_the_line" ||
    { fail "pprof -top"; cat "$work/top" "$work/errors"; }
else
  echo "left out: no pprof"
fi
exit $failed
