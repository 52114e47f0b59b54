#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# spin goes through every interleaving of the models in tests/model, and finds the bugs that are seeded in
# them. The models take turns, as what is costly does in tools/test: a third of them by day. With MODELS=all,
# every one; and slabword after a fork, which has fifty million states.
set -u
models=$1/tests/model
cc=$(command -v clang || command -v cc) # half a minute sooner
command -v spin >/dev/null || { echo "skipped model_test: no spin"; exit 77; }
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place" || exit 1

explore() { # how much the compiler is to optimize, model, options: prints spin's verdict
  rm -f pan*
  local level=$1 model=$2
  shift 2
  spin -a "$@" "$models/$model.pml" >spin.out 2>&1 || { cat spin.out >&2; exit 1; }
  "$cc" -O$level -DSAFETY -DCOLLAPSE -DMEMLIM=4096 -w pan.c -o pan || exit 1
  ./pan -m200000 -n >pan.out 2>&1
  grep -qE 'max search depth too small|out of memory|memory bound' pan.out &&
    { echo "incomplete: $*"; exit 1; }
  sed -n 's/.*errors: \([0-9]*\).*/\1/p' pan.out
}

failed=0 at=0 turn=${TURN:-$(($(date +%s) / 86400 % 3))}

holds() { # model, name of the case, options
  local errors states
  errors=$(explore 2 "$1" "${@:3}")
  states=$(sed -n 's/ *\([0-9.e+]*\) states, stored.*/\1/p' pan.out)
  if [ "$errors" = 0 ]; then
    echo "ok model_$1_$2 ($states states)"
  else
    echo "failed: $1 has errors: $2"; cat pan.out; failed=1
  fi
}

for model in slabword hazard regions batches upkeep; do
  at=$((at + 1))
  [ "${MODELS:-}" = all ] || [ $((at % 3)) = "$turn" ] || continue
  holds $model holds
  fork=$(grep -o '^#ifdef FORK$' "$models/$model.pml" | sort -u) # else fork is in it anyway
  case $fork/$model/${MODELS:-} in /* | */slabword/) ;; *) holds $model holds_after_a_fork -DFORK ;; esac
  for bug in $(grep -o 'BUG_[A-Z][A-Z_]*' "$models/$model.pml" | sort -u); do
    case $fork$bug in '#ifdef FORKBUG_FORK'*) options=(-DFORK -D"$bug") ;; *) options=(-D"$bug") ;; esac
    errors=$(explore 0 $model "${options[@]}") # found soon, if at all
    case $errors in
      '' | *[!0-9]* | 0) echo "failed: $bug of $model is not found"; failed=1 ;;
      *) echo "ok model_finds_$bug" ;;
    esac
  done
done
exit $failed
