#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Libraries that replace functions of the C library, preloaded before fallow: fallow does not enter them,
# whatever they do there.
# Usage: interposed.sh LIBRARY INTERPOSER PROGRAM
set -u
library=$1 interposer=$2 program=$3
failed=0

# One of our own, which allocates in each, under a program that comes to all slow paths; and the
# same without fallow in it.
said=$(timeout -k 1 200 env LD_PRELOAD="$interposer:$library" "$program" 2>&1) &&
  echo "ok interposed_functions_are_not_entered" ||
  { echo "failed: $said"; failed=1; }
cc=$(command -v cc || command -v gcc)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if [ -n "$cc" ]; then # the interposer must be able to fail
  printf '#include <time.h>
int libfallow(void) { struct timespec now; return clock_gettime(CLOCK_MONOTONIC, &now); }\n' >"$folder/a.c"
  printf 'int libfallow(void);\nint main(void) { return libfallow(); }\n' >"$folder/b.c"
  $cc -shared -fPIC -o "$folder/libfallow-not.so" "$folder/a.c" &&
    $cc -o "$folder/b" "$folder/b.c" "$folder/libfallow-not.so" -Wl,-rpath,"$folder" || failed=1
  said=$(LD_PRELOAD=$interposer "$folder/b" 2>&1)
  [ "$said" = "interposer: fallow calls clock_gettime" ] && echo "ok interposed_calls_are_found" ||
    { echo "failed: a call of clock_gettime was not found: $said"; failed=1; }
fi

# libfaketime.
faketime=$(ls /usr/lib/*/faketime/libfaketime.so.1 /usr/lib*/faketime/libfaketime.so.1 2>/dev/null | head -1)
if [ -z "$faketime" ]; then
  echo "skipped interposed_faketime: no libfaketime on this machine"
else
  faked() { timeout -k 1 30 env FAKETIME='2020-02-03 04:05:06' LD_PRELOAD="$faketime:$library" "$@" 2>&1; }
  said=$(faked date '+%F')
  [ "$said" = 2020-02-03 ] && echo "ok interposed_faketime_date" ||
    { echo "failed: date said '$said'"; failed=1; }
  said=$(faked perl -e 'my @x;
    for (1 .. 40) { push @x, "y" x 1_000_000; select undef, undef, undef, 0.02; shift @x if @x > 30 }
    print((localtime)[5] + 1900)')
  [ "$said" = 2020 ] && echo "ok interposed_faketime_long" || { echo "failed: perl said '$said'"; failed=1; }
fi
exit $failed
