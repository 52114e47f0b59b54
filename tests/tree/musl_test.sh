#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Built with musl, static: the stress test and the sizes on fallow's malloc.
set -u
source=$1
command -v musl-gcc >/dev/null || { echo "skipped musl: no musl-gcc on this machine"; exit 77; }
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place" || exit 1
objects=()
for file in "$source"/src/{system,osmem,arena,profile,slab,heap,embed,malloc}/*.c; do
  object=$(basename "$file" .c).o
  musl-gcc -std=c11 -O2 -Wall -Werror -fvisibility=hidden -fno-builtin-malloc -fno-builtin-calloc \
    -fno-builtin-realloc -fno-builtin-free -fexceptions \
    -I"$source/include" -isystem /usr/include/x86_64-linux-musl -idirafter /usr/include \
    -idirafter "/usr/include/$(gcc -dumpmachine)" -c "$file" -o "$object" ||
    { echo "failed: $file does not compile with musl"; exit 1; }
  objects+=("$object")
done
ar rcs libfallow-malloc.a "${objects[@]}"
for test in malloc_stress sizes_test frees_test; do
  musl-gcc -std=c11 -O1 -fno-builtin -D_GNU_SOURCE -static -I"$source/include" \
    "$source/tests/malloc/$test.c" \
    -Wl,--whole-archive libfallow-malloc.a -Wl,--no-whole-archive -o "$test" -lpthread ||
    { echo "failed: $test does not link"; exit 1; }
  timeout 250 "./$test" >"$test.out" 2>&1 ||
    { echo "failed: $test with musl: $(tail -3 "$test.out")"; exit 1; }
  echo "ok musl_$test"
done
