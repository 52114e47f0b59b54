#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tools/peers knows trees by what they contain, builds each in a copy, keeps what has not changed, and says
# what became of each; and tools/compare sees whether Google's tcmalloc has the caches that it is known by.
# The trees are made up: fallow under other names.
set -u
source=$1 build=$2
command -v make >/dev/null || { echo "skipped peers_test: no make"; exit 77; }
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place" || exit 1
failed=0
fail() { echo "failed: $*: $(cat said)"; failed=1; }
passed() { [ "$failed" = "$1" ] && echo "ok $2"; }
peers() { /usr/bin/python3 -B "$source/tools/lib/peers.py" --out out "$@" >said 2>&1; }
compare() {
  /usr/bin/python3 -B "$source/tools/lib/compare.py" --build "$build" --out measured --rounds 1 "$@" -- \
    sh -c 'sleep 0.1' >said 2>&1
}
fact() {
  python3 -c "import json; print(json.load(open('measured/results.json'))['facts']['allocators'].get('$1'))"
}

# tree FOLDER VERSION: a jemalloc that takes a line for each of its builds.
tree() {
  mkdir -p "$1/include/jemalloc/internal"
  touch "$1/include/jemalloc/internal/arena_externs.h"
  printf 'Changes:\n\n* %s (Jan 1, 2000)\n' "$2" >"$1/ChangeLog"
  printf '#!/bin/sh
echo "build_lib_shared:; echo once >>%s && mkdir lib && cp %s lib/libjemalloc.so.2" >Makefile\n' \
    "$place/builds" "$build/libfallow-malloc.so" >"$1/configure"
  chmod +x "$1/configure"
}
contents() { find "$1" -type f -exec cksum {} + | sort; }

before=$failed
peers nowhere && fail "a folder that is not there"
[ "$(cat said)" = 'peers: there is no folder nowhere' ] || fail "a folder that is not there"
mkdir -p trees/notes && touch trees/file
peers trees && fail "a folder without trees"
[ "$(grep -c ' not found in trees$' said)" = 6 ] && tail -1 said | grep -qx 'peers: nothing was built' ||
  fail "a folder without trees"
compare --peers out && fail "compares with nothing"
grep -q '^compare: nothing that tools/peers built is in out' said || fail "nothing to compare with"
passed $before peers_that_are_not_there

before=$failed # The newest of two, in a copy; its version goes with it, into the report too.
tree trees/one 9.8.7 && tree trees/two 9.10.1
contents trees >before
peers trees || fail "ended with $?"
grep -qx 'jemalloc *9.10.1 built from source: built' said &&
  grep -qx 'jemalloc *9.8.7 in trees/one: left out, another is newer' said || fail "versions"
grep -qx "or some:  *tools/compare --with jemalloc-9.10.1=$place/out/libjemalloc.so" said &&
  grep -qx "all of them:  *tools/compare --peers $place/out" said || fail "words"
contents trees | cmp -s - before || fail "wrote into a tree"
compare --peers out --only jemalloc || fail "ended with $?"
fact jemalloc | grep -q "'version': '9.10.1 built from source', 'compiler': " ||
  fail "facts: $(fact jemalloc)"
compare --peers out --only jemalloc-background
fact jemalloc-background | grep -q "'version': '9.10.1 built from source, configured', 'options': " ||
  fail "another library configured: $(fact jemalloc-background)"
compare --with mine=out/libjemalloc.so --only mine || fail "ended with $?"
fact mine | grep -q "'version': '9.10.1 built from source'" || fail "facts: $(fact mine)"
passed $before peers_are_built

before=$failed # Built once, again if asked or changed.
builds() { wc -l <builds; }
peers trees && grep -q ': as built before$' said && [ "$(builds)" = 1 ] || fail "built $(builds) times"
peers trees --again && [ "$(builds)" = 2 ] || fail "built $(builds) times with --again"
echo >>trees/two/ChangeLog
peers trees && [ "$(builds)" = 3 ] || fail "built $(builds) times after a change"
rm out/libjemalloc.so
peers trees && [ "$(builds)" = 4 ] && [ -f out/libjemalloc.so ] ||
  fail "built $(builds) times without its library"
passed $before peers_are_kept

before=$failed # A clone's version is its tag, and its commit is said, also where nothing else has changed.
if command -v git >/dev/null; then
  in_two() { git -C trees/two -c user.name=n -c user.email=e "$@" >/dev/null 2>&1; }
  in_two init && in_two add . && in_two commit -m all && in_two tag v9.11.0 || fail "cannot make a clone"
  commit=$(git -C trees/two rev-parse HEAD)
  peers trees || fail "ended with $?"
  grep -qx "jemalloc *9.11.0 built from source, commit ${commit::12}: as built before" said || fail "a clone"
  compare --peers out --only jemalloc || fail "ended with $?"
  fact jemalloc | grep -q "'version': '9.11.0 built from source, commit ${commit::12}'" ||
    fail "facts: $(fact jemalloc)"
  find trees/two/.git -type f -exec cksum {} + | sort >before
  touch trees/two/configure && echo >>trees/two/ChangeLog
  peers trees && grep -q ", commit ${commit::12}-dirty: built" said || fail "a clone with changes"
  find trees/two/.git -type f -exec cksum {} + | sort | cmp -s - before || fail "wrote into a clone"
fi
passed $before peers_of_clones

before=$failed # What failed leaves no library of before, and its last words.
mkdir -p trees/google/tcmalloc && touch trees/google/tcmalloc/tcmalloc.cc
peers trees && fail "is content with one of two"
grep -q -- '--with jemalloc-9.1' said || fail "one of two"
printf '#!/bin/sh\necho much; echo "no such header" >&2; exit 3\n' >trees/two/configure
peers trees && fail "is content"
grep -q "^jemalloc .*: its build failed; the end of $place/out/jemalloc.log:$" said &&
  grep -qx '    no such header' said || fail "its last words"
[ ! -e out/libjemalloc.so ] || fail "leaves a library of before"
needs='^tcmalloc +[0-9]{4}-[0-9-]+ built from source: needs a tree of abseil-cpp in the same folder, '
needs+='and there is none$'
grep -qE "$needs" said || fail "a tree that needs another"
printf '#!/bin/sh\necho "int malloced;" >it.c
echo "build_lib_shared:; mkdir lib && cc -shared -fPIC it.c -o lib/libjemalloc.so.2" >Makefile\n' \
  >trees/two/configure
peers trees && fail "is content"
grep -q '^jemalloc .*: it was built, but would not serve' said && [ ! -e out/libjemalloc.so ] ||
  fail "a library without malloc"
passed $before peers_that_fail

# fake NAME CODE: a malloc that never takes anything back, with more in its library.
fake() { cat - <(echo "$2") <<'E2' | cc -shared -fPIC -fno-builtin -x c - -o "$1.so" || fail "cannot build"; }
#include <stdlib.h>
#include <string.h>
static char ground[1 << 29], *next = ground;
int posix_memalign(void **at, size_t align, size_t n) {
  char *from = __atomic_fetch_add(&next, n + align + 32, __ATOMIC_RELAXED) + align + 16;
  *at = from - (size_t)from % (align < 16 ? 16 : align);
  ((size_t *)*at)[-1] = n;
  return 0;
}
void *malloc(size_t n) { void *at; return posix_memalign(&at, 16, n), at; }
void free(void *at) { (void)at; }
void *calloc(size_t n, size_t each) { return malloc(n * each); }
void *realloc(void *at, size_t n) {
  void *to = malloc(n);
  return at ? memcpy(to, at, n < ((size_t *)at)[-1] ? n : ((size_t *)at)[-1]) : to;
}
E2

before=$failed # With its caches; with them once glibc leaves it the sequences; without.
fake with 'char MallocExtension_Internal_GetPerCpuCachesActive(void) { return 1; }'
fake helped \
  'char MallocExtension_Internal_GetPerCpuCachesActive(void) { return getenv("GLIBC_TUNABLES") != 0; }'
fake without 'char MallocExtension_Internal_GetPerCpuCachesActive(void) { return 0; }'
compare --with with=with.so --with helped=helped.so --with without=without.so --only with --only helped \
  --only without --only fallow || fail "ended with $?"
fact with | grep -q "'per-CPU caches': 'active'" && ! fact with | grep -q options || fail "with: $(fact with)"
fact helped | grep -q "'options': 'GLIBC_TUNABLES=glibc.pthread.rseq=0', 'per-CPU caches': 'active'" ||
  fail "helped: $(fact helped)"
grep -qx 'helped: its per-CPU caches need GLIBC_TUNABLES=glibc.pthread.rseq=0, which it gets' said ||
  fail "helped, on screen"
grep -qx 'without runs without its per-CPU caches, which makes it another allocator' said ||
  fail "without, on screen"
grep -q 'without ran without its per-CPU caches, which makes it another allocator' measured/report.md ||
  fail "without, in the report"
[ "$(grep -c 'ran without its per-CPU' measured/report.md)" = 1 ] &&
  ! fact without | grep -q 'options\|active' || fail "without: $(fact without)"
fact fallow | grep -q per-CPU && fail "fallow: $(fact fallow)"
passed $before compare_sees_per_cpu_caches

before=$failed
echo '#include <unistd.h>
__attribute__((constructor)) static void say(void) {
  static const char text[] = "x.so: cannot allocate memory in static TLS block\n";
  write(2, text, sizeof text - 1); }' |
  cc -shared -fPIC -w -x c - -o tls.so || fail "cannot build"
compare --with tls=tls.so && fail "goes on"
why='^compare: tls would not serve: .*cannot allocate memory in static TLS block: '
why+='it takes more static thread-local storage than'
grep -q "$why" said || fail "static TLS"
passed $before compare_explains_static_tls
exit $failed
