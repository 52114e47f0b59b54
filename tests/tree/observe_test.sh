#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Processes are looked into from outside: at rest, at work, with tables written over; and who may
# not be, for which reason.
set -u
source=$1 build=$2 fallow=$2/fallow

source "$source/tests/lib/started.sh"
export -n COLUMNS

start "$work/rests" "$build/tests/observed"
rests=$process
sleep 1 # what is idle goes back
python3 "$source/tests/tree/observe_test.py" "$fallow" resting "$rests" "$work/rests" ||
  fail "a process at rest"
says observe_profile_tells_of_pools 0 '^ +2\.[0-9] MiB  in pools .*not sampled' \
  "$fallow" profile --now "$rests"
start "$work/keeps" env FALLOW_OPTIONS=give_back:0,background_thread:0 "$build/tests/observed"
python3 "$source/tests/tree/observe_test.py" "$fallow" resting "$process" "$work/keeps" keeps ||
  fail "a process that keeps what is idle"
start "$work/guarded" env FALLOW_OPTIONS=guard_sampling:100 "$build/tests/observed"
sleep 1
python3 "$source/tests/tree/observe_test.py" "$fallow" resting "$process" "$work/guarded" guarded ||
  fail "a process with sampled blocks"
start "$work/busy" env FALLOW_OPTIONS=guard_sampling:100 "$build/tests/observed" busy
python3 "$source/tests/tree/observe_test.py" "$fallow" busy "$process" || fail "a process at work"
kill -KILL "$process"
start "$work/told" "$build/tests/observed" busy "$work/info"
python3 "$source/tests/tree/observe_test.py" "$fallow" agree "$process" "$work/info" ||
  fail "formats of a process at work"
kill -KILL "$process"
start "$work/garbled" "$build/tests/observed"
python3 "$source/tests/tree/observe_test.py" "$fallow" garbled "$process" ||
  fail "a process with garbled tables"

# What each figure means is the document's as well.
"$fallow" stats --explain >"$work/explained"
tail -n "$(wc -l <"$work/explained")" "$source/docs/statistics.md" | cmp -s - "$work/explained" ||
  fail "docs/statistics.md does not end with what 'fallow stats --explain' says"
# And names that a program knows of itself mean the same. (granted_bytes is what slabs, large
# blocks and pools sum up to.)
for name in $(sed -n '/typedef struct fallow_stats/,/^}/s/^ *size_t \(\w*_\(bytes\|blocks\)\);.*/\1/p' \
  "$source/include/fallow/stats.h" | grep -vx granted_bytes); do
  grep -q "\`$name\`" "$work/explained" || fail "no figure '$name', as include/fallow/stats.h has it"
done

# Other ways into the process: a child, the archive in a stripped program, a library that is no
# longer there, libfallow.
start "$work/child" "$fallow" run python3 -c '
import os, time
if os.fork(): os.wait()
print("forked", flush=True)
time.sleep(1000)'
says observe_a_child 0 'live_blocks' "$fallow" stats "$(tr -d ' ' <"/proc/$process/task/$process/children")"
cc -O1 -D_GNU_SOURCE -I"$source/include" -static -s "$source/tests/tree/observed.c" -o "$work/static" \
  "$build/libfallow-malloc.a" -lpthread || fail "no static program"
start "$work/static.out" "$work/static"
says observe_static_and_stripped 0 '^1 known' "$fallow" stats "$process"
cp "$build"/libfallow-malloc.so.? "$work" &&
  start "$work/upgraded" env LD_PRELOAD="$(echo "$work"/libfallow-malloc.so.?)" python3 -c '
import time
print("here", flush=True)
time.sleep(1000)'
rm "$work"/libfallow-malloc.so.?
says observe_an_upgraded_library 0 '^0 malloc' "$fallow" stats "$process"
cc -O1 -D_GNU_SOURCE -I"$source/include" "$source/tests/tree/observed.c" -o "$work/embeds" -L"$build" \
  -lfallow -Wl,-rpath,"$build" -lpthread || fail "no program with libfallow"
start "$work/embeds.out" "$work/embeds"
says observe_libfallow 0 '^1 known' "$fallow" stats "$process"

# Who cannot be looked into, and why.
start "$work/other" sh -c 'echo here; exec sleep 1000'
sleep 0.2
says observe_without_fallow 1 "process $process \(sleep\): does not run on fallow" "$fallow" stats "$process"
sh -c 'exit 0' & gone=$!
wait "$gone"
says observe_gone 1 "process $gone: does not exist here" "$fallow" map "$gone"
start "$work/zombie" python3 -c '
import os, time
child = os.fork()
if child == 0: os._exit(0)
time.sleep(0.2)
print(child, flush=True)
time.sleep(1000)'
says observe_ended 1 "has ended, and waits for its parent" "$fallow" stats "$(cat "$work/zombie")"
for wrong in 12x 0 99999999999; do
  says "observe_no_number_$wrong" 1 "$wrong: not a PID" "$fallow" stats "$wrong"
done
says observe_no_argument 2 'no process given' "$fallow" stats
says observe_wrong_argument 2 'accepted: PID, --html FILE' "$fallow" map --such "$rests"
says observe_page_that_cannot_be_written 2 '/nowhere/page: No such file' \
  "$fallow" map --html /nowhere/page "$rests"
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
  says observe_another_users 1 "it belongs to another user \(0\): run this as that user or as root" \
    setpriv --reuid=65534 --regid=65534 --clear-groups "$fallow" stats "$rests"
  says observe_without_the_right 1 'root lacks CAP_SYS_PTRACE here' \
    setpriv --bounding-set=-sys_ptrace --inh-caps=-sys_ptrace "$fallow" stats "$rests"
fi
exit $failed
