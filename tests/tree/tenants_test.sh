#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The examples that need other libraries, from an installed fallow with nothing but pkg-config; and the
# tenants server under load with a hostile tenant: that one is refused, the others are served, and evicting it
# gives its memory back.
set -u
source=$1 build=$2
for need in curl wrk pkg-config; do
  command -v $need >/dev/null || { echo "skipped tenants: no $need on this machine"; exit 77; }
done
pkg-config --exists libmicrohttpd lua5.4 sqlite3 ||
  { echo "skipped tenants: no libmicrohttpd, lua5.4 or sqlite3 to build with"; exit 77; }
place=$(mktemp -d)
server=
trap '[ -n "$server" ] && kill $server; rm -rf "$place"' EXIT
DESTDIR=$place/root meson install -C "$build" --no-rebuild --quiet || exit 1
library=$(dirname "$(find "$place/root" -name libfallow.so)")
fallow_flags=$(PKG_CONFIG_PATH=$library/pkgconfig PKG_CONFIG_SYSROOT_DIR=$place/root \
  pkg-config --cflags --libs fallow)
export LD_LIBRARY_PATH=$library

fail() { echo "failed: $*"; cat "$place/server.log" 2>/dev/null; exit 1; }

cc -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Werror "$source/examples/sqlite/sqlite_arena.c" \
  $fallow_flags $(pkg-config --cflags --libs sqlite3) -o "$place/sqlite_arena" ||
  fail "examples/sqlite does not build"
"$place/sqlite_arena" >"$place/sqlite.out" || fail "examples/sqlite: $(cat "$place/sqlite.out")"
grep -q 'SQLite says: out of memory' "$place/sqlite.out" || fail "SQLite met no limit"
echo "ok example_sqlite_meets_its_limit_and_goes_on"

cc -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Werror "$source/examples/tenants/tenants.c" \
  $fallow_flags $(pkg-config --cflags --libs libmicrohttpd lua5.4) -lpthread -o "$place/tenants" ||
  fail "examples/tenants does not build"
port=$((20000 + $$ % 20000))
at=http://127.0.0.1:$port
"$place/tenants" $port "$source/examples/tenants/scripts" 16 >"$place/server.log" 2>&1 &
server=$!
for _ in $(seq 100); do curl -s $at/metrics >/dev/null && break; sleep 0.1; done
resident() { awk '/^Rss/ { print $2 }' /proc/$server/smaps_rollup; }
figure() { curl -s $at/metrics | sed -n "s/^tenant_memory_bytes{tenant=\"$1\",state=\"$2\"} //p"; }
status() { curl -s -o "$place/body" -w '%{http_code}' "$@"; }

[ "$(status $at/t/hello/x)" = 200 ] && grep -q '^hello 1 ' "$place/body" || fail "hello does not answer"
[ "$(status $at/t/nobody/x)" = 404 ] || fail "a tenant without a script"
[ "$(status $at/t/..%2fx/x)" = 400 ] || fail "a name that is none"
echo "ok tenants_answer"

# A hostile tenant, asked again and again, while others are served.
wrk -t1 -c2 -d4 $at/t/hostile/x >"$place/hostile.out" 2>&1 &
load=$!
wrk -t1 -c4 -d3 $at/t/hello/x >"$place/hello.out" 2>&1
[ "$(status $at/t/hostile/x)" = 507 ] || fail "the hostile tenant is not refused"
wait $load
grep -q 'Non-2xx' "$place/hello.out" && fail "hello was not served: $(cat "$place/hello.out")"
served=$(awk '/requests in/ { print $1 }' "$place/hello.out")
[ "${served:-0}" -gt 1000 ] || fail "hello was served $served times"
ready=$(figure hostile ready)
[ "$ready" -le $((16 << 20)) ] && [ "$ready" -gt $((12 << 20)) ] || fail "the hostile tenant has $ready bytes"
[ "$(figure hello ready)" -lt $((8 << 20)) ] || fail "hello has $(figure hello ready) bytes"
echo "ok tenants_hostile_one_is_bounded ($served requests of its neighbour's meanwhile)"

before=$(resident)
[ "$(status -X DELETE $at/t/hostile)" = 200 ] || fail "no eviction"
after=$(resident)
[ $((before - after)) -gt 12000 ] || fail "evicted, and resident $before KiB became $after KiB"
curl -s $at/metrics | grep -q hostile && fail "it is in the figures still"
[ "$(status $at/t/hello/x)" = 200 ] || fail "hello does not answer any more"
echo "ok tenants_evicted_one_gives_all_back ($before to $after KiB resident)"
kill $server && wait $server || fail "the server ended with $?"
server=
echo "ok tenants_server_ends"
