#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# git: a repository with history, cloned, collected, checked.
. "$(dirname "$0")/common.sh" "$1"
need git
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
export GIT_AUTHOR_DATE="2026-01-01T00:00:00Z" GIT_COMMITTER_DATE="2026-01-01T00:00:00Z"
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null HOME=$place
work() {
  git init -q -b main one && cd one || return 1
  for i in $(seq 1 15); do
    for f in $(seq 1 20); do seq "$i" $((i * f % 700 + 200)) >"file$f"; done
    git add . && git commit -qm "change $i" || return 1
  done
  cd .. && git clone -q one two && cd two && git gc -q --aggressive && git fsck --full --strict &&
    git log --format='%H %s' | cat
  git rev-list --objects --all | sort | sha256sum
}
same clone_and_gc work
