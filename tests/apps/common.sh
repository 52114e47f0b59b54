# SPDX-License-Identifier: MIT
# Sourced by the tests of real programs. Each runs a program twice, without fallow and with it, and wants the
# same output, byte for byte. A program that is not there is skipped by name.
set -u
library=$1
name=$(basename "$0" .sh)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place" || exit 1
export LC_ALL=C

need() {
  for program in "$@"; do
    command -v "$program" >/dev/null || { echo "skipped app_$name: no $program on this machine"; exit 77; }
  done
}

# on_fallow COMMAND...: runs it on fallow.
on_fallow() { LD_PRELOAD=$library "$@"; }

# same NAME FUNCTION: the function's output and status, without and with fallow. A marker proves that the
# library was there.
same() {
  local label=$1 plain_status fallow_status
  shift
  mkdir -p plain fallow
  (cd plain && "$@") >plain.out 2>plain.err </dev/null
  plain_status=$?
  (cd fallow && export LD_PRELOAD=$library && "$@") >fallow.out 2>fallow.err </dev/null
  fallow_status=$?
  if [ "$plain_status" != 0 ]; then
    echo "failed ${name}_$label: fails without fallow too ($plain_status)"
    tail -5 plain.err plain.out; exit 1
  fi
  if [ "$fallow_status" != 0 ] || ! cmp -s plain.out fallow.out; then
    echo "failed ${name}_$label: status $fallow_status"
    diff plain.out fallow.out | head -20; tail -5 fallow.err; exit 1
  fi
  if [ ! -s plain.out ]; then
    echo "failed ${name}_$label: no output to compare"; exit 1
  fi
  rm -rf plain fallow
  echo "ok ${name}_$label"
}

# The library is really in the process.
on_fallow grep -q 'r-xp.*libfallow-malloc' /proc/self/maps ||
  { echo "failed: the library is not preloaded"; exit 1; }
