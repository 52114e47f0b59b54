#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A memory limit of a control group (version 1, where the machine has it and lets us): heeded by
# default, as a soft limit.
# Usage: container.sh PROGRAM LIBRARY. Exit 77: cannot be tested here.
set -u
program=$1 library=$2
parent=/sys/fs/cgroup/memory$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup)
group=$parent/fallow-test-$$
grep -q '^SwapTotal: *0 kB' /proc/meminfo || { echo "there is swap: the limit is not the end"; exit 77; }
mkdir "$group" 2>/dev/null || { echo "no control groups of version 1 to be made here"; exit 77; }
trap 'rmdir "$group" 2>/dev/null' EXIT
echo $((256 << 20)) >"$group/memory.limit_in_bytes" || exit 77
in_group() { (echo $BASHPID >"$group/cgroup.procs" && exec "$@"); }
failed=0
in_group env LD_PRELOAD="$library" "$program" && echo "ok container_limit_is_heeded" ||
  { echo "failed: killed or wrong ($?)"; failed=1; }
# The same with a soft limit that is none: the test must be able to fail.
in_group env LD_PRELOAD="$library" FALLOW_OPTIONS=soft_limit:1t "$program" >/dev/null 2>&1 &&
  { echo "failed: fits without a limit too: this test shows nothing"; failed=1; } ||
  echo "ok container_explicit_setting_wins"
exit $failed
