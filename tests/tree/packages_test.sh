#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tools/packages where there is no root, no sudo, a held package lock, no such package: each ends well, or
# with one line. The package system is a stand-in, so that nothing is installed and nobody waits.
set -u
source=$1
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
mkdir "$place/bin" && cd "$place" || exit 1
failed=0
fail() { echo "failed: $*: $(cat said)"; failed=1; }
passed() { [ "$failed" = "$1" ] && echo "ok $2"; }
stand_in() { printf '#!%s\n' "$bash" >"bin/$1"; cat >>"bin/$1"; chmod +x "bin/$1"; }
bash=$(command -v bash)
for tool in bash env grep mktemp rm tail cat; do ln -s "$(command -v $tool)" bin/; done
stand_in dpkg-query <<'E2'
grep -qx "${*: -1}" installed && printf 'install ok installed'
E2
stand_in id <<<'echo "${WHO:-0}"'
stand_in sleep <<<'echo "$1" >>slept'
stand_in date <<'E2' # asking takes three seconds
seconds=0
while read -r each; do seconds=$((seconds + each)); done <slept
while read -r each; do seconds=$((seconds + 3)); done <asked
echo $seconds
E2
stand_in apt-get <<'E2'
echo "$*" >>asked
left=$(cat held)
if [ "$left" -gt 0 ]; then
  echo $((left - 1)) >held
  echo "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1 (unattended-upgr)"
  exit 100
fi
[[ " $* " == *" install "* ]] || exit 0
[[ $* != *nowhere* ]] || { echo "E: Unable to locate package nowhere"; exit 100; }
while [ "$1" != --no-install-recommends ]; do shift; done
shift
printf '%s\n' "$@" >>installed
E2

# packages HELD WORDS...: its status; on a machine that has the package here, and a lock that
# is held so many times.
packages() {
  echo here >installed
  echo "$1" >held
  : >slept
  : >asked
  shift
  PATH=$place/bin "$bash" "$source/tools/packages" "$@" >said 2>&1 </dev/null
}
lines() { [ "$(wc -l <said)" = "$1" ]; }

before=$failed
packages 0 here -- here && lines 0 && [ ! -s asked ] || fail "asks where nothing is missing"
packages 0 here one two -- three || fail "does not install"
[ "$(paste -sd' ' installed)" = "here one two three" ] || fail "installs something else: $(cat installed)"
packages 0 here -- nowhere three nowhere-too || fail "an absent wanted one is an error"
grep -qx 'left out, as they are not to be had: nowhere nowhere-too' said && grep -qx three installed ||
  fail "wanted ones"
packages 0 nowhere -- three && fail "goes on without a needed one"
tail -1 said | grep -qx 'fallow: could not install: nowhere' || fail "an absent needed one"
passed $before packages_are_installed

before=$failed
WHO=1000 packages 0 here one two -- three && fail "goes on without root"
lines 1 &&
  grep -qx 'fallow: there is neither root nor sudo here, and these packages are needed: one two' said ||
  fail "without root"
WHO=1000 packages 0 here -- one two || fail "stops for wanted ones"
lines 1 && grep -qx 'left out, as there is neither root nor sudo here: one two' said ||
  fail "without root, wanted"
stand_in sudo <<<'[ "$1" = -n ] && exit 1; exec "$@"'
WHO=1000 packages 0 one && fail "asks for a password where nobody answers"
lines 1 || fail "with a sudo that asks"
stand_in sudo <<<'[ "$1" = -n ] && shift; [ "$1" = true ] || exec "$@"'
WHO=1000 packages 0 one && grep -qx one installed || fail "does not use sudo"
passed $before packages_without_root

before=$failed
packages 3 here one -- two || fail "does not wait"
[ "$(grep -c 'holds the package lock' said)" = 1 ] && [ "$(paste -sd' ' slept)" = "2 2 2" ] &&
  grep -qx two installed || fail "a lock that is let go"
packages 1000 here one -- two && fail "goes on without a needed one"
tail -1 said |
  grep -qx 'fallow: another program holds the package lock, and these packages are needed: one' && lines 3 ||
  fail "a lock that is held"
[ "$("$bash" bin/date)" = 63 ] ||
  fail "waits for another time than a minute, and once more asking: $("$bash" bin/date)"
packages 1000 here -- one two || fail "stops for wanted ones"
tail -1 said | grep -qx 'left out, as another program holds the package lock: one two' && lines 3 ||
  fail "a lock that is held, wanted"
passed $before packages_behind_a_lock
exit $failed
