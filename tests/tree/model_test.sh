#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# spin goes through every interleaving of the slab protocol's model, and finds each bug that is seeded in it.
set -u
model=$1/tests/model/slabword.pml
command -v spin >/dev/null || { echo "skipped model_test: no spin"; exit 77; }
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place" || exit 1

explore() { # options: prints spin's verdict
  rm -f pan*
  spin -a "$@" "$model" >spin.out 2>&1 || { cat spin.out; exit 1; }
  cc -O2 -DSAFETY -DCOLLAPSE -DMEMLIM=4096 -w pan.c -o pan || exit 1
  ./pan -m200000 -n >pan.out 2>&1
  grep -qE 'max search depth too small|out of memory|memory bound' pan.out && { echo "incomplete: $*"; exit 1; }
  sed -n 's/.*errors: \([0-9]*\).*/\1/p' pan.out
}

failed=0
errors=$(explore)
states=$(sed -n 's/ *\([0-9.e+]*\) states, stored.*/\1/p' pan.out)
if [ "$errors" = 0 ]; then echo "ok model_holds ($states states)"; else echo "failed: the model has errors"; cat pan.out; failed=1; fi
errors=$(explore -DFORK)
if [ "$errors" = 0 ]; then echo "ok model_holds_after_a_fork"; else echo "failed: the model has errors after a fork"; cat pan.out; failed=1; fi
for bug in $(grep -o 'BUG_[A-Z][A-Z_]*' "$model" | sort -u); do
  case $bug in BUG_FORK*) errors=$(explore -DFORK -D"$bug") ;; *) errors=$(explore -D"$bug") ;; esac
  if [ "${errors:-0}" -gt 0 ]; then echo "ok model_finds_$bug"; else echo "failed: $bug is not found"; failed=1; fi
done
exit $failed
