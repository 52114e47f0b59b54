#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# redis-server under redis-benchmark, with a reload of its data; the data are the same afterwards.
. "$(dirname "$0")/common.sh" "$1"
need redis-server redis-cli redis-benchmark
work() {
  local socket=$PWD/redis.sock
  redis-server --port 0 --unixsocket "$socket" --save '' --enable-debug-command yes --daemonize no \
    >redis.log 2>&1 &
  local server=$!
  for _ in $(seq 100); do LD_PRELOAD= redis-cli -s "$socket" ping >/dev/null 2>&1 && break; sleep 0.1; done
  if [ -n "${LD_PRELOAD:-}" ]; then
    grep -q 'r-xp.*libfallow-malloc' /proc/$server/maps || { echo "not on fallow"; return 1; }
  fi
  ask() { LD_PRELOAD= redis-cli -s "$socket" "$@"; }
  # What redis-benchmark writes with one client, no random keys and a given seed is the same each time.
  LD_PRELOAD= redis-benchmark -s "$socket" -P 16 -n 100000 -q \
    -t set,get,incr,lpush,rpush,lpop,sadd,hset,zadd,lrange_100 >bench.out 2>&1 || return 1
  ask eval "for i = 1, 50000 do redis.call('set', 'k' .. i, string.rep('v', i % 300));
    redis.call('hset', 'h' .. (i % 100), i, i * 2) end return 'filled'" 0
  ask eval "for i = 1, 50000, 3 do redis.call('del', 'k' .. i) end return 'deleted'" 0
  ask debug reload
  ask dbsize
  ask eval "local n = 0 for i = 1, 50000 do n = n + redis.call('strlen', 'k' .. i) end return n" 0
  ask hlen h7
  ask shutdown nosave
  wait $server
  echo "ended $?"
}
same benchmark_and_reload work
