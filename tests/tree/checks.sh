# SPDX-License-Identifier: MIT
# To be sourced: what tests of `fallow record` and `fallow replay` share. They work in a folder of their
# own, which goes with them.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
failed=0
check() { # NAME WANTED GOT
  [ "$2" = "$3" ] && echo "ok $1" || { echo "failed: $1: wanted '$2', got '$3'"; failed=1; }
}
figure() { sed -n "s/.*\b$1 \([0-9.]*\).*/\1/p" <<<"$said"; }
