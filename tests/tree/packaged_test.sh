#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every example is built from fallow as others get it, and run: installed, by pkg-config and by CMake; as a
# meson subproject, by the wrap. What find_package answers to versions; vcpkg's port, on a stand-in for vcpkg.
# No network: archives lie where a download would have put them.
set -u
source=$1 build=$2
place=$(mktemp -d)
server=
trap '[ -n "$server" ] && kill "$server"; rm -rf "$place"' EXIT
cd "$place" || exit 1
fail() {
  echo "failed: $*"
  [ -z "$server" ] || kill "$server"
  server=
  exit 1
}
run() { "$@" >"$place/said" 2>&1 || { tail -30 "$place/said"; fail "$*"; }; }

DESTDIR=$place/root run meson install -C "$build" --no-rebuild --quiet
library=$(dirname "$(find "$place/root" -name libfallow.so)")
prefix=$place/root$(sed -n 's/^prefix=//p' "$library/pkgconfig/fallow.pc")
version=$(sed -n 's/^Version: //p' "$library/pkgconfig/fallow.pc")

# answer TEXT: what the epoll server says to it, without headers.
answer() {
  exec 3<>"/dev/tcp/127.0.0.1/$port" || return 1
  printf '%b' "$1" >&3
  timeout 20 sed -u '1,/^\r*$/d; q' <&3
  exec 3>&-
}

# served PROGRAM: the server's requests, one after the other, at once, too large, unfinished; and its end.
served() {
  "$1" 0 >port 2>&1 &
  server=$!
  for _ in $(seq 200); do grep -q '^port ' port && break; sleep 0.05; done
  port=$(sed -n 's/^port //p' port)
  local get='GET /sort/pear,apple,fig HTTP/1.1\r\n' files
  files=$(ls /proc/$server/fd | wc -l)
  [ "$(answer "$get\r\n")" = apple,fig,pear ] || fail "$1 does not sort"
  exec 4<>"/dev/tcp/127.0.0.1/$port"
  printf '%b' "$get\r\n${get}Host: here\r\n\r\nGET /nothing HTTP/1.1\r\n\r\n" >&4
  timeout 20 sed -u '/there is/q' <&4 >three
  [ "$(grep -c '^apple,fig,pear$' three)" = 2 ] && grep -q '^HTTP/1.1 404 ' three ||
    fail "$1 does not answer three at once: $(cat three)"
  printf 'GET /sort/left' >&4 # and no more of it
  exec 5<>"/dev/tcp/127.0.0.1/$port"
  { printf 'GET /sort/'; head -c 600000 /dev/zero | tr '\0' x; } >&5 2>/dev/null
  timeout 20 head -1 <&5 | grep -q '^HTTP/1.1 431 ' || fail "$1 takes a request of any size"
  exec 5>&-
  [ "$(answer "$get\r\n")" = apple,fig,pear ] || fail "$1 does not go on"
  for _ in $(seq 100); do [ "$(ls /proc/$server/fd | wc -l)" = $((files + 1)) ] && break; sleep 0.05; done
  [ "$(ls /proc/$server/fd | wc -l)" = $((files + 1)) ] ||
    fail "$1 has $(ls /proc/$server/fd | wc -l) files, one of them a connection's"
  kill $server && wait $server || fail "$1 ended with $?"
  server=
  exec 4>&-
}

# stored PROGRAM: two tenants; one stores more than it may, and is then gone.
stored() {
  coproc store { exec "$1"; }
  local pid=$store_PID reply before after
  ask() { echo "$*" >&"${store[1]}" && read -r -t 60 -u "${store[0]}" reply; }
  figure() { sed -n "s/^documents$1{tenant=\"$2\"$3} //p" metrics; }
  ask open small 1024 2048 && ask put small one 1000 && [ "$reply" = stored ] || fail "$1 does not store"
  ask open big 8192 16384
  for i in $(seq 600); do ask put big "k$i" 60000 && [ "$reply" = stored ] || fail "$1: put $i: $reply"; done
  ask get big k600 && [ "$reply" = "60000 bytes" ] || fail "$1 has lost the newest: $reply"
  ask get big k1 && [ "$reply" = none ] || fail "$1 has the oldest still"
  ask put big large 20000000 && [ "$reply" = "no memory" ] || fail "$1 stores above the hard limit: $reply"
  ask get small one && [ "$reply" = "1000 bytes" ] || fail "$1: another tenant has paid: $reply"
  echo metrics >&"${store[1]}"
  timeout 60 sed -u '/^# EOF/q' <&"${store[0]}" >metrics
  [ "$(figure _evicted_total big '')" -gt 400 ] && [ "$(figure _evicted_total small '')" = 0 ] &&
    [ "$(figure _refused_total big '')" = 1 ] &&
    [ "$(figure _memory_bytes big ',state="ready"')" -le $((16 << 20)) ] ||
    fail "$1: $(cat metrics)"
  ! grep -vE '^(# TYPE [a-z_]+ (gauge|counter)|[a-z_]+\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\} [0-9]+|# EOF)$' \
    metrics || fail "$1: no Prometheus text"
  before=$(awk '/^Rss/ { print $2 }' /proc/$pid/smaps_rollup)
  ask put big kept 6000000
  ask end big && [ "$reply" = ended ] || fail "$1 does not end a tenant"
  after=$(awk '/^Rss/ { print $2 }' /proc/$pid/smaps_rollup)
  [ "$before" -gt "$after" ] && ask get small one && [ "$reply" = "1000 bytes" ] ||
    fail "$1: resident $before KiB, then $after"
  local end=${store[1]}
  exec {end}>&-
  wait "$pid" || fail "$1 ended with $?"
}

# all_run HOW FOLDER: every example in it.
all_run() {
  local example
  for example in request shared_memory tenant; do run "$2/$example"; done
  stored "$2/documents"
  served "$2/epoll_server"
  if [ -x "$2/sqlite_arena" ]; then run "$2/sqlite_arena"; fi
  if [ -x "$2/tenants" ]; then
    "$2/tenants" $((20000 + $$ % 20000)) "$source/examples/tenants/scripts" 16 >tenants.log 2>&1 &
    server=$! port=$((20000 + $$ % 20000))
    for _ in $(seq 200); do (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break; sleep 0.05; done
    answer 'GET /metrics HTTP/1.0\r\n\r\n' | grep -q '^# TYPE tenant_memory_bytes' ||
      fail "$2/tenants does not answer: $(cat tenants.log)"
    kill $server && wait $server || fail "$2/tenants ended with $?"
    server=
  fi
  echo "ok examples_by_$1"
}

mkdir pkg
export LD_LIBRARY_PATH=$library
(
  export PKG_CONFIG_PATH=$library/pkgconfig
  flags=$(PKG_CONFIG_SYSROOT_DIR=$place/root pkg-config --cflags --libs fallow)
  for file in "$source"/examples/*.c "$source"/examples/*/*.c "$source"/examples/*/*.cpp; do
    more= name=$(basename "${file%.*}")
    case $name in sqlite_arena) more=sqlite3 ;; tenants) more="libmicrohttpd lua5.4" ;; esac
    [ -z "$more" ] || pkg-config --exists $more || continue
    compiler="cc -std=c11 -D_POSIX_C_SOURCE=200809L"
    [ "${file##*.}" = c ] || compiler="c++ -std=c++17"
    run $compiler -Wall -Wextra -Werror "$file" $flags ${more:+$(pkg-config --cflags --libs $more)} \
      -lpthread -o "pkg/$name"
  done
) || exit 1
all_run pkg_config pkg

if command -v cmake >/dev/null; then
  run cmake -S "$source/examples" -B cmake -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Debug
  run cmake --build cmake
  (unset LD_LIBRARY_PATH; run cmake/tenant) || exit 1 # the target's path is known to the program
  all_run cmake cmake
  run cmake -S "$source/examples" -B cmake -DSTATIC=ON
  run cmake --build cmake --target request
  ! ldd cmake/request | grep -q libfallow || fail "fallow::fallow_static is not linked in"
  (unset LD_LIBRARY_PATH; run cmake/request) || exit 1
  echo "ok cmake_static"

  mkdir versions
  IFS=. read -r major minor patch <<<"$version"
  cat >versions/CMakeLists.txt <<C
cmake_minimum_required(VERSION 3.19)
project(versions C)
function(expect wanted)
  find_package(fallow \${ARGN} QUIET CONFIG)
  if(NOT "\${fallow_FOUND}" STREQUAL "\${wanted}")
    message(FATAL_ERROR "find_package(fallow \${ARGN}): \${fallow_FOUND}")
  endif()
  unset(fallow_DIR CACHE)
endfunction()
expect(1)
expect(1 $version)
expect(1 $version EXACT)
expect(1 $major.$minor EXACT)
expect(1 $major)
expect(1 $major.0.0)
expect(1 $major.0...$major.$minor)
expect(1 $major.0...<99)
expect(0 $major.0...<$version)
expect(0 $major.$minor.$((patch + 1)))
expect(0 $major.$((minor + 1)))
expect(0 $((major + 1)))
expect(0 $version.1 EXACT)
expect(0 $major.99 EXACT)
foreach(target fallow malloc fallow_static malloc_static)
  if(NOT TARGET fallow::\${target})
    message(FATAL_ERROR "no fallow::\${target}")
  endif()
endforeach()
C
    run cmake -S versions -B versions/build -DCMAKE_PREFIX_PATH="$prefix"
  echo "ok cmake_versions"
else
  echo "skipped examples_by_cmake: no cmake"
fi

# A project with the wrap; the archive is what meson dist would make of the tree.
mkdir -p wrapped/subprojects/packagecache
tar -C "$source" -czf "wrapped/subprojects/packagecache/fallow-$version.tar.gz" \
  --transform "s#^#fallow-$version/#" \
  LICENSE meson.build meson_options.txt bench examples include packaging src tests tools
cp -r "$source/examples" wrapped/
sed -e "s/@version@/$version/g" -e "s#@url@#https://fallow.example#" \
  -e "s/@sha256@/$(sha256sum "wrapped/subprojects/packagecache/fallow-$version.tar.gz" | cut -d' ' -f1)/" \
  "$source/packaging/wrap/fallow.wrap.in" >wrapped/subprojects/fallow.wrap
cat >wrapped/meson.build <<'M'
project('wrapped', 'c', 'cpp', default_options: ['c_std=c11', 'cpp_std=c++17', 'buildtype=plain'])
fallow_dep = dependency('fallow')
assert(dependency('fallow-malloc').found() and fallow_dep.type_name() == 'internal')
subdir('examples')
M
unset PKG_CONFIG_PATH
run meson setup wrapped/build wrapped --werror --wrap-mode=nodownload --force-fallback-for=fallow
meson introspect --targets wrapped/build | python3 -c '
import json, sys
names = {(it["name"], it["type"].split()[0]) for it in json.load(sys.stdin)
         if "subprojects" in it["defined_in"]}
sys.exit(names != {("fallow", "static"), ("fallow", "shared"), ("fallow-malloc", "static"),
                   ("fallow-malloc", "shared")} and str(names))
' || fail "the subproject builds other things than the libraries"
run ninja -C wrapped/build $(cd wrapped/build && meson introspect --targets | python3 -c '
import json, sys
print(*("examples/" + it["name"] for it in json.load(sys.stdin) if it["type"] == "executable"))')
(unset LD_LIBRARY_PATH; all_run wrap wrapped/build/examples) || exit 1
ldd wrapped/build/examples/request | grep -q "$place.*libfallow" ||
  fail "the subproject's libfallow is not what is linked with"
run meson configure wrapped/build -Dfallow:default_library=static
run ninja -C wrapped/build examples/request
! ldd wrapped/build/examples/request | grep -q libfallow || fail "the subproject's libfallow is not linked in"
run wrapped/build/examples/request
echo "ok wrap_static"

if command -v cmake >/dev/null; then
  port=$source/packaging/vcpkg
  [ "$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["version"])' "$port/vcpkg.json")" = \
    "$version" ] || fail "vcpkg.json has another version"
  for linkage in static dynamic; do
    run cmake -DPORT_DIR="$port" -DSOURCE="$source" -DBUILT="$build" -DHERE="$place/vcpkg-$linkage" \
      -DVERSION="$version" -DLINKAGE=$linkage -P "$source/tests/tree/vcpkg_stand_in.cmake"
    packages=$place/vcpkg-$linkage/packages
    run cmake -S "$source/examples" -B "vcpkg-$linkage/build" -DCMAKE_PREFIX_PATH="$packages"
    run cmake --build "vcpkg-$linkage/build" --target request
    run "vcpkg-$linkage/build/request"
    found=$(cd "$packages" && find . -type f -o -type l | sort | sed 's#^\./##' |
      grep -vE '^(include/fallow/|share/(man|fallow)/)' | paste -sd' ')
    if [ $linkage = static ]; then kind=.a; else kind=.so; fi
    ! grep -oE 'lib/libfallow[^ ]*' <<<"$found" | grep -vE "\\$kind(\\.0)?$" || fail "vcpkg, $linkage: $found"
    [ -f "$packages/share/fallow/fallow-config.cmake" ] && [ -f "$packages/share/fallow/copyright" ] &&
      [ -f "$packages/share/fallow/usage" ] ||
      fail "vcpkg, $linkage: $(ls "$packages/share/fallow")"
  done
  echo "ok vcpkg_port"
fi
