#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# PostgreSQL: initdb, pgbench with several clients, and the sums are right.
. "$(dirname "$0")/common.sh" "$1"
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1)
[ -n "$bin" ] && [ -x "$bin/initdb" ] && [ -x "$bin/pgbench" ] ||
  { echo "skipped app_postgresql: no PostgreSQL server on this machine"; exit 77; }
id postgres >/dev/null 2>&1 || { echo "skipped app_postgresql: no user postgres"; exit 77; }
work() {
  local here=$PWD
  chmod a+rx "$place" .; mkdir data; chown postgres data .
  as() { runuser -u postgres -- env LD_PRELOAD="${LD_PRELOAD:-}" "$@"; }
  as "$bin/initdb" -D "$here/data" -A trust -E UTF8 --locale=C >init.log 2>&1 || { cat init.log; return 1; }
  as "$bin/pg_ctl" -D "$here/data" -o "-c listen_addresses='' -c unix_socket_directories='$here'" \
    -w -l "$here/server.log" start >/dev/null || { cat server.log; return 1; }
  [ -z "${LD_PRELOAD:-}" ] || grep -q 'r-xp.*libfallow-malloc' "/proc/$(head -1 data/postmaster.pid)/maps" ||
    { echo "not on fallow"; return 1; }
  as "$bin/pgbench" -h "$here" -i -s 2 postgres >bench.log 2>&1 || { cat bench.log; return 1; }
  as "$bin/pgbench" -h "$here" -c 4 -j 2 -t 300 postgres >>bench.log 2>&1 || { cat bench.log; return 1; }
  as "$bin/psql" -h "$here" -At postgres \
    -c "select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history),
        (select count(*) from pgbench_history)" \
    -c "select md5(string_agg(x::text, ','))
        from (select i * i as x from generate_series(1, 200000) i order by i desc) t"
  as "$bin/pg_ctl" -D "$here/data" -m fast -w stop >/dev/null; echo "ended $?"
}
same initdb_and_pgbench work
