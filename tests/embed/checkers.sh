#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What AddressSanitizer, LeakSanitizer and valgrind's memcheck say of each mistake in faults/memory_faults.c,
# and that they say nothing of what is right.
# Usage: checkers.sh SOURCE BUILD CHECKS (the build's -Dchecks: 0, the sanitizers; else valgrind, which a
# library that checks speaks to)
set -u
source=$1 build=$2 checks=$3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0 passed=0

# compile CC FOLDER/PROGRAM LIBRARY FLAGS...: elsewhere.c without the flags.
compile() {
  local cc=$1 out=$2 library=$3 cxx=${1/gcc/g++}
  cxx=${cxx/clang/clang++}
  shift 3
  "$cc" -g -O1 -I"$source/include" -c "$source/tests/embed/faults/elsewhere.c" -o "$out.e.o" &&
    "$cc" -w -g -O1 "$@" -I"$source/include" -c "$source/tests/embed/faults/memory_faults.c" -o "$out.f.o" &&
    "$cxx" -std=c++17 -g -O1 "$@" -I"$source/include" -c "$source/tests/embed/faults/containers.cpp" \
      -o "$out.c.o" &&
    "$cxx" "$@" "$out".?.o $library -lpthread -o "$out"
}

# expect WHAT WORDS STATUS OUTPUT: the words are there, and the program has failed; or neither, without words.
expect() {
  if [ -n "$2" ] && [ "$3" != 0 ] && grep -qE "$2" <<<"$4"; then passed=$((passed + 1))
  elif [ -z "$2" ] && [ "$3" = 0 ] && [ -z "$4" ]; then passed=$((passed + 1))
  else
    echo "failed: $1: expected '${2:-no word}', status $3:"; head -5 <<<"$4"
    failed=1
  fi
}

for cc in $([ "$checks" = 0 ] && echo gcc clang); do
  command -v $cc >/dev/null || { echo "skipped: no $cc"; continue; }
  echo 'int main(void) { return 0; }' >"$folder/asan.c"
  $cc -fsanitize=address "$folder/asan.c" -o "$folder/asan" 2>/dev/null ||
    { echo "skipped: $cc has no AddressSanitizer"; continue; }
  for linked in "$build/libfallow.a" "-L$build -lfallow -Wl,-rpath,$build"; do
    [ $cc/${linked:0:2} != clang/-L ] || continue # a library that is shared is so for either
    compile $cc "$folder/$cc" "$linked" -fsanitize=address || exit 1
    while read -r name kind; do
      case $linked/$kind in
        # The same library: one of each kind is enough.
        -L*/fault | -L*/invalid* | -L*/end | -L*/chunk) continue ;;
      esac
      case $kind in
        fault | 'invalid free' | reset | chunk | fixed) words="AddressSanitizer: use-after-poison" ;;
        end) words="AddressSanitizer: (SEGV|use-after-poison)" ;;
        'fixed free') words="^fallow: free of 0x.*: freed twice" ;;
        walk) words="^fallow: walk of arena 0x.*: while its visitor" ;;
        leak) words="LeakSanitizer: detected memory leaks" ;;
        *) words="" ;;
      esac
      out=$(ASAN_OPTIONS=detect_leaks=1 timeout 60 "$folder/$cc" "$name" 2>&1)
      expect "$cc $name (${linked##*/})" "$words" $? "$out"
    done < <("$folder/$cc" --list)
  done
  out=$(ASAN_OPTIONS=allow_user_poisoning=0 "$folder/$cc" overflow_by_one 2>&1)
  expect "$cc, told not to listen" "" $? "$out"
done

if [ "$checks" = 0 ]; then
  echo "skipped valgrind: this build is none that checks (-Dchecks=1)"
elif ! command -v valgrind >/dev/null || [ ! -f /usr/include/valgrind/memcheck.h ]; then
  echo "skipped valgrind: it is not there, or its header is not"
else
  compile gcc "$folder/plain" "$build/libfallow.a" || exit 1
  for it in after_free:Invalid.read overflow_by_one:Invalid.read 'double_free:Invalid free' \
    leak_in_arena:definitely.lost pool_overflow:Invalid.read \
    cpp_overflow:Invalid.write clean_arenas: clean_limit: clean_containers:; do
    out=$(timeout 120 valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite \
      "$folder/plain" "${it%%:*}" 2>&1)
    status=$?
    out=$(grep -vE "^--[0-9]+--" <<<"$out") # a kernel that is newer than valgrind
    expect "memcheck ${it%%:*}" "${it#*:}" $status "$out"
  done
fi
[ $failed = 0 ] && echo "ok checkers: $passed reports and silences as expected"
exit $failed
