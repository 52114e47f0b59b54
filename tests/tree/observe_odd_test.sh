#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Processes that are odd, or change while they are looked at; and a standard output that takes nothing.
set -u
source=$1 build=$2 fallow=$2/fallow
source "$source/tests/lib/started.sh"
odd=$build/tests/observed_oddly

# What a program has mapped of files stays as it is: 4 GiB of one that is none of a program, and of one that
# begins as programs do.
for kind in data program; do
  truncate -s 4G "$work/$kind"
  [ $kind = data ] || head -c 4096 "$odd" | dd of="$work/$kind" conv=notrunc status=none
  start "$work/mapped" "$odd" mapped "$work/$kind"
  says "observe_leaves_mapped_files_alone_$kind" 0 '^0 malloc' "$fallow" stats "$process"
  resident=$(awk -v file="$work/$kind" '/^[0-9a-f]+-/ { its = $NF == file }
    its && $1 == "Rss:" { print $2 }' "/proc/$process/smaps")
  [ "${resident:-none}" != none ] && [ "$resident" -le 128 ] ||
    fail "$resident KiB of a mapped file ($kind) are resident: the command has read it"
  kill -KILL "$process"
done

# The first thread has ended, others go on.
start "$work/leaderless" "$odd" leaderless
until grep -q '^State:.*Z' "/proc/$process/status"; do sleep 0.05; done
says observe_without_a_first_thread 0 '^0 malloc' "$fallow" stats "$process"
says observe_map_without_a_first_thread 0 'resident: [1-9]*0?\.[0-9]' "$fallow" map "$process"

# Two fallows in one process: it is said which is shown.
start "$work/two" "$odd" two "$build/libfallow.so"
says observe_two_malloc_is_shown 0 '^0 malloc' "$fallow" stats "$process"
for command in stats map; do
  shown='^showing the fallow in libfallow-malloc\.so\.[0-9.]*; '
  shown+='the process also has one in libfallow\.so\.[0-9.]*, not shown$'
  says observe_two_${command}_says_so 0 "$shown" "$fallow" $command "$process"
done
says observe_two_json 0 '"library": "libfallow-malloc\.so[0-9.]*", "others": "libfallow\.so[0-9.]*"' \
  "$fallow" stats --json "$process"
says observe_two_metrics 0 'library="libfallow-malloc\.so[0-9.]*",others="libfallow\.so[0-9.]*"\} 1' \
  "$fallow" stats --metrics "$process"
start "$work/one" "$odd"
says observe_one_json 0 '"library": "libfallow-malloc\.so[0-9.]*", "others": ""' \
  "$fallow" stats --json "$process"
"$fallow" map "$process" | grep 'not shown' && fail "others, where there are none"

# More arenas than the page lists, with names that are not ASCII.
start "$work/many" "$odd" many 2100
python3 "$source/tests/tree/observe_test.py" "$fallow" many "$process" "$work/many.html" ||
  fail "a process of many arenas"

# It becomes another program, or ends, after its tables were read and before the kernel's figures are; or
# while its root is looked for.
for at in mem:1 pagemap:1 maps:1 smaps:1 pagemap:2; do
  for signal in USR1:'has become another program' KILL:'has ended'; do
    for command in stats map; do
      [ $at$command = pagemap:2stats ] && continue
      start "$work/changing" "$odd"
      says "observe_changing_${command}_${at}_${signal%%:*}" 1 \
        "process $process \(observed_oddly\): ${signal#*:}" env \
        LD_PRELOAD="$build/tests/libintruder.so" INTRUDER_PROCESS="$process" \
        INTRUDER_SIGNAL="$(kill -l "${signal%%:*}")" INTRUDER_FILE="${at%:*}" INTRUDER_TURN="${at#*:}" \
        "$fallow" $command "$process"
      kill -KILL "$process" 2>/dev/null
    done
  done
done

# A standard output that takes nothing.
start "$work/rests" "$odd"
for command in "stats $process" "stats --json $process" "map $process" "stats --explain" options --help \
  --version; do
  # shellcheck disable=SC2086
  said=$("$fallow" $command 2>&1 >/dev/full) && fail "fallow $command >/dev/full returns 0"
  [ "$said" = "fallow: standard output: No space left on device" ] ||
    fail "fallow $command >/dev/full says: $said"
  # shellcheck disable=SC2086
  said=$("$fallow" $command 2>&1 >&-) && fail "fallow $command >&- returns 0"
  [[ $said == "fallow: standard output: "* ]] || fail "fallow $command >&- says: $said"
done
"$fallow" map --html "$work/page" "$process" >&- || fail "a page is written without any standard output"
"$fallow" run -- true >&- || fail "a program needs no standard output of the command's"
echo "ok observe_output_that_takes_nothing"
exit $failed
