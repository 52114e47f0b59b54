#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# bash: many forks, strings, arrays, pipes.
. "$(dirname "$0")/common.sh" "$1"
need bash
work() {
  bash -c 'declare -A seen; for i in {1..20000}; do seen[k$((i % 997))]+="$i "; done
           for k in "${!seen[@]}"; do echo "$k ${#seen[$k]}"; done | sort
           for i in {1..100}; do x=$(echo "$i" | tr 0-9 a-j); echo "$x"; done'
}
same arrays_and_pipes work
