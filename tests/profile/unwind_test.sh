#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# fallow profile --unwind names all five functions that lead to a leak, in a program whose functions keep no frame pointers, and stripped, in main's
# thread and in those with small stacks; without it fewer are there. A stack that is not the thread's is not copied; no copy is left behind.
# Usage: unwind_test.sh SOURCE BUILD
set -u
source=$1 build=$2 fallow=$2/fallow
command -v addr2line >/dev/null || { echo "skipped unwind: no addr2line"; exit 77; }
source "$source/tests/lib/started.sh"
gcc -O2 -g -fomit-frame-pointer -fno-optimize-sibling-calls -fno-builtin -pthread -o "$work/deep" "$source/tests/profile/deep.c" &&
  (cd "$work" && objcopy --only-keep-debug deep deep.debug && strip -g -s deep -o stripped && objcopy --add-gnu-debuglink=deep.debug stripped) || { echo "failed: no program"; exit 1; }

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
case $(cat "$work/said") in *"built without"* | *"which is not there"* | *"not be written"* | *"may not"*) [ $code = 1 ] && { echo "skipped unwind: $(cat "$work/said")"; exit 77; } ;; esac
end

for program in deep stripped; do
  for how in main thread short; do
    [ $program = deep ] || [ $how = main ] || continue
    begin "$work/$program" $how
    look; without=$(bytes "$calls")
    grep -q -- '--unwind finds all' "$work/said" || fail "$program $how: nobody is told of --unwind: $(cat "$work/said")"
    look --unwind || fail "$program $how: $(cat "$work/said")"
    with=$(bytes "$calls"); all=$(bytes 'fifth ')
    end
    [ "$without" = 0 ] || fail "$program $how: all calls without --unwind, so that this test can tell nothing"
    [ "$with" -gt 100000 ] && [ "$with" -gt $((all * 8 / 10)) ] && echo "ok unwind_names_all_calls_${program}_$how" || { fail "$program $how: $with of $all bytes have all calls; $(cat "$work/said")"; head -5 "$work/seen"; }
  done
done

for how in signal coroutine; do
  begin "$work/deep" $how
  look --unwind || fail "$how: $(cat "$work/said")"
  end
  [ "$(bytes 'fifth ')" -gt 100000 ] && [ "$(bytes "$calls")" = 0 ] && grep -q ' [1-9][0-9]* not on their thread' "$work/said" && echo "ok unwind_copies_no_stack_of_a_$how" || fail "$how: $(cat "$work/said" "$work/seen")"
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
[ "$in_child" = 0 ] && echo "ok unwind_leaves_no_copies_to_a_child" || fail "copies in a fork's child: $in_child"
kill -CONT "$process"
sleep 3
kill -STOP "$process"
[ "$(left "$process")" = 0 ] && echo "ok unwind_copies_of_a_killed_command_are_wiped" || fail "copies of a killed command: $(left "$process")"
kill -CONT "$process"
look --unwind && [ "$(bytes "$calls")" -gt 100000 ] && [ "$(left "$process")" = 0 ] && echo "ok unwind_leaves_no_copies" || fail "after a look: $(left "$process"); $(cat "$work/said")"
end

# What it cannot do is said.
"$fallow" profile --unwind "$work/deep" >"$work/seen" 2>&1 && fail "--unwind with a file"
grep -q "^fallow: --unwind: copies stacks" "$work/seen" || fail "--unwind with a file: $(cat "$work/seen")"
begin "$work/deep"
"$fallow" profile --unwind --seconds 30 "$process" >"$work/seen" 2>&1 & command=$!
sleep 1; kill -9 "$process"; wait "$process" 2>/dev/null
wait $command && fail "a process that died is shown"
grep -q "has ended" "$work/seen" && echo "ok unwind_of_a_process_that_dies" || fail "of a process that dies: $(cat "$work/seen")"
exit $failed
