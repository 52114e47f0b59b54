#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# fallow profile --unwind names all five functions that lead to a leak, in a program whose functions keep no
# frame pointers, and stripped, in main's thread and in those with small stacks; without it fewer are there. A
# stack that is not the thread's is not copied; no copy is left behind.
# Usage: unwind_test.sh SOURCE BUILD
set -u
source=$1 build=$2 fallow=$2/fallow
command -v addr2line >/dev/null || { echo "skipped unwind: no addr2line"; exit 77; }
source "$source/tests/lib/started.sh"
gcc -O2 -g -fomit-frame-pointer -fno-optimize-sibling-calls -fno-builtin -pthread \
  -o "$work/deep" "$source/tests/profile/deep.c" &&
  (cd "$work" && objcopy --only-keep-debug deep deep.debug && strip -g -s deep -o stripped &&
    objcopy --add-gnu-debuglink=deep.debug stripped) || { echo "failed: no program"; exit 1; }

begin() { start "$work/ready" env LD_PRELOAD="$build/libfallow-malloc.so" "$@"; }
end() { kill "$process" 2>/dev/null || fail "the program has ended by itself"; wait "$process" 2>/dev/null; }
look() { "$fallow" profile --seconds 1 --mean 512 --collapsed "$@" "$process" >"$work/seen" 2>"$work/said"; }
calls='leak;second;third;fourth;fifth '
# bytes PATTERN: of stacks with it, in those that were seen.
bytes() { awk -v what="$1" 'index($0, what) { sum += $NF } END { printf "%.0f\n", sum }' "$work/seen"; }
# left PID: in how many places outside of its stack the secret of deep.c is.
left() {
  python3 - "$1" <<'EOS'
import re, sys
pid = sys.argv[1]
secret = bytes(1 + i * 7 % 48 + 64 for i in range(48))
found = 0
with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
    for line in maps:
        start, end = (int(n, 16) for n in line.split()[0].split("-"))
        if line.split()[1].startswith("rw") and "[stack]" not in line:
            try:
                memory.seek(start)
                found += memory.read(end - start).count(secret)
            except OSError:
                pass
print(found)
EOS
}

begin "$work/deep"
look --unwind; code=$?
case $(cat "$work/said") in
  *"built without"* | *"which is not there"* | *"not be written"* | *"may not"*)
    [ $code = 1 ] && { echo "skipped unwind: $(cat "$work/said")"; exit 77; } ;;
esac
end

for program in deep stripped; do
  for how in main thread short; do
    [ $program = deep ] || [ $how = main ] || continue
    begin "$work/$program" $how
    look; without=$(bytes "$calls")
    grep -q -- '--unwind finds all' "$work/said" ||
      fail "$program $how: nobody is told of --unwind: $(cat "$work/said")"
    look --unwind || fail "$program $how: $(cat "$work/said")"
    with=$(bytes "$calls"); all=$(bytes 'fifth ')
    end
    [ "$without" = 0 ] || fail "$program $how: all calls without --unwind, so that this test can tell nothing"
    [ "$with" -gt 100000 ] && [ "$with" -gt $((all * 8 / 10)) ] &&
      echo "ok unwind_names_all_calls_${program}_$how" ||
      { fail "$program $how: $with of $all bytes have all calls; $(cat "$work/said")"; head -5 "$work/seen"; }
  done
done

for how in signal coroutine; do
  begin "$work/deep" $how
  look --unwind || fail "$how: $(cat "$work/said")"
  end
  [ "$(bytes 'fifth ')" -gt 100000 ] && [ "$(bytes "$calls")" = 0 ] &&
    grep -q ' [1-9][0-9]* not on their thread' "$work/said" && echo "ok unwind_copies_no_stack_of_a_$how" ||
    fail "$how: $(cat "$work/said" "$work/seen")"
done

# Copies are gone when the command is; also when it was killed, and in children forked meanwhile.
begin "$work/deep" fork
"$fallow" profile --unwind --seconds 30 --mean 512 "$process" >/dev/null 2>&1 & command=$!
sleep 2
kill -9 $command; wait $command 2>/dev/null
sleep 0.7 # the program forks ten times in this; it wipes them after two seconds
kill -STOP "$process"
[ "$(left "$process")" -gt 0 ] || fail "a killed command leaves no copies, so that this test can tell nothing"
in_child=$(left "$(ps -o pid= --ppid "$process" | tr -d ' ')")
[ "$in_child" = 0 ] && echo "ok unwind_leaves_no_copies_to_a_child" ||
  fail "copies in a fork's child: $in_child"
kill -CONT "$process"
sleep 3
kill -STOP "$process"
[ "$(left "$process")" = 0 ] && echo "ok unwind_copies_of_a_killed_command_are_wiped" ||
  fail "copies of a killed command: $(left "$process")"
kill -CONT "$process"
look --unwind && [ "$(bytes "$calls")" -gt 100000 ] && [ "$(left "$process")" = 0 ] &&
  echo "ok unwind_leaves_no_copies" || fail "after a look: $(left "$process"); $(cat "$work/said")"
end

# One at a time: a second one is refused, and the first one has seen all; not where the first one was killed.
most() { [ "$(bytes "$calls")" -gt 100000 ] && [ "$(bytes "$calls")" -gt $(($(bytes 'fifth ') * 8 / 10)) ]; }
begin "$work/deep"
"$fallow" profile --unwind --seconds 4 --mean 512 --collapsed "$process" >"$work/first" 2>&1 & command=$!
sleep 1.5
says unwind_refuses_a_second 1 '^fallow: .*another `fallow profile --unwind` looks at it' \
  "$fallow" profile --unwind --seconds 1 --mean 512 "$process"
wait $command || fail "the first of two: $(cat "$work/first")"
cp "$work/first" "$work/seen"
most && echo "ok unwind_first_of_two_sees_all" || fail "the first of two: $(cat "$work/first")"
"$fallow" profile --unwind --seconds 30 --mean 512 "$process" >/dev/null 2>&1 & command=$!
sleep 1.5
kill -9 $command; wait $command 2>/dev/null
sleep 0.5 # samples that nobody takes
kill -STOP "$process"
look --unwind --total && [ "$(bytes "$calls")" = 0 ] ||
  fail "what a killed one has left counts: $(cat "$work/said" "$work/seen")"
kill -CONT "$process"
look --unwind && most && echo "ok unwind_after_one_that_was_killed" ||
  fail "after one that was killed: $(cat "$work/said" "$work/seen")"
end

# In a container of its own the first one cannot be seen by the second: it ends, and says why.
if unshare --user --map-root-user --pid --fork --mount-proc true 2>/dev/null; then
  start "$work/ready" unshare --user --map-root-user --pid --fork --mount-proc --kill-child bash -c '
    LD_PRELOAD=$1/libfallow-malloc.so "$2/deep" &
    until [ -s "$2/ready" ]; do sleep 0.1; done
    "$1/fallow" profile --unwind --seconds 20 --mean 512 $! >"$2/first" 2>&1; echo "status $?" >>"$2/first"
    sleep 5; kill -9 $!' inside "$build" "$work"
  sleep 3
  outer=$process process=$(pgrep -x deep -P "$(pgrep -P "$process")")
  look --unwind && most && echo "ok unwind_takes_over_from_a_container" ||
    fail "from a container: $(cat "$work/said")"
  wait "$outer"
  grep -q 'has taken it over' "$work/first" && grep -q '^status 1' "$work/first" &&
    echo "ok unwind_says_that_it_was_taken_over" || fail "taken over: $(cat "$work/first")"
fi

# What it cannot do is said.
"$fallow" profile --unwind "$work/deep" >"$work/seen" 2>&1 && fail "--unwind with a file"
grep -q "^fallow: --unwind: copies stacks" "$work/seen" || fail "--unwind with a file: $(cat "$work/seen")"
begin "$work/deep"
"$fallow" profile --unwind --seconds 30 "$process" >"$work/seen" 2>&1 & command=$!
sleep 1; kill -9 "$process"; wait "$process" 2>/dev/null
wait $command && fail "a process that died is shown"
grep -q "has ended" "$work/seen" && echo "ok unwind_of_a_process_that_dies" ||
  fail "of a process that dies: $(cat "$work/seen")"
exit $failed
