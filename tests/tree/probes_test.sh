#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The probes that docs/probes.md lists are in both libraries, with three arguments each, and no others; none
# has a semaphore, which would be memory to look at. Usage: probes_test.sh SOURCE BUILD
set -u
source=$1 build=$2 failed=0

listed=$(sed -n '/^| probe/,/^$/s/^| `\([a-z_]*\)` .*/\1/p' "$source/docs/probes.md" | sort -u)
for library in libfallow libfallow-malloc; do
  notes=$(readelf -nW "$build/$library.so")
  found=$(sed -n '/Provider: fallow/{n;s/.*Name: //p}' <<<"$notes" | sort -u)
  if [ -z "$found" ] || [ "$found" != "$listed" ]; then
    echo "failed: $library has the probes $(tr '\n' ' ' <<<"$found"), docs/probes.md $(
      tr '\n' ' ' <<<"$listed")"
    failed=1
  fi
  grep 'Arguments:' <<<"$notes" | grep -vE 'Arguments: \S+ \S+ \S+$' &&
    echo "failed: $library: not three arguments" && failed=1
  grep 'Semaphore:' <<<"$notes" | grep -v 'Semaphore: 0x0*$' &&
    echo "failed: $library: a semaphore" && failed=1
done
[ $failed = 0 ] && echo "ok probes_are_in_the_libraries"
exit $failed
