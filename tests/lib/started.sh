# SPDX-License-Identifier: MIT
# For tests that look at running programs: starts them, checks what is said of them, ends them. Wants $fallow;
# gives $work, a folder that goes at the end, and $failed, which fail() sets.
work=$(mktemp -d)
failed=0
fail() { echo "failed: $*"; failed=1; }
started=()
trap 'disown -a; kill -KILL "${started[@]}" 2>/dev/null; rm -rf "$work"' EXIT

start() { # the file that it writes to, the program and its arguments: until it has said that it is ready
  local out=$1
  shift
  : >"$out" # what an earlier one has written says nothing of this one
  "$@" >"$out" 2>"$out.err" &
  process=$!
  started+=("$process")
  for _ in $(seq 600); do
    [ -s "$out" ] && return
    kill -0 "$process" 2>/dev/null || break
    sleep 0.05
  done
  fail "$* did not begin: $(cat "$out.err")"
}
says() { # name, wanted status, pattern, arguments
  local name=$1 wanted=$2 pattern=$3 said status
  shift 3
  said=$("$@" 2>&1)
  status=$?
  if [ "$status" = "$wanted" ] && grep -qE "$pattern" <<<"$said"; then
    echo "ok $name"
  else
    fail "$name: status $status, said: $said"
  fi
}
