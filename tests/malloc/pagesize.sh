#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# OS pages of every size that systems have: fallow starts, and programs do what they do.
# Usage: pagesize.sh LIBRARY LIAR PROGRAM...
set -u
library=$1 liar=$2
shift 2
failed=0
for bytes in 4096 16384 32768 65536 131072; do
  under() { env PAGE_BYTES=$bytes LD_PRELOAD="$liar:$library" timeout 200 "$@" 2>&1; }
  said=$(under ls /)
  [ "$said" = "$(ls /)" ] || { echo "failed: ls with pages of $bytes bytes: $said"; failed=1; }
  said=$(under bash -c 'x=(); for i in {1..20000}; do x+=("word $i"); done; echo ${#x[@]} "${x[777]}"')
  [ "$said" = "20000 word 778" ] || { echo "failed: bash with pages of $bytes bytes: $said"; failed=1; }
  for program in "$@"; do
    said=$(under "$program") || { echo "failed: $program with pages of $bytes bytes: $said"; failed=1; }
  done
  [ $failed = 0 ] && echo "ok pagesize_$bytes"
done
exit $failed
