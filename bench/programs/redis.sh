#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# redis-server under redis-benchmark. Debian's binary is linked with jemalloc and calls plain malloc; naming
# any library first in the search makes its malloc the one that serves, so all allocators are preloaded into
# the same binary: for the system's, the C library itself. $COMPARE_PRELOAD is the library, or empty.
set -u
folder=$(mktemp -d) && cd "$folder" || exit 1
trap 'rm -rf "$folder"' EXIT
library=${COMPARE_PRELOAD:-$(ldconfig -p | sed -n 's/.*libc\.so\.6 .*x86-64.* => //p' | head -1)}
LD_PRELOAD=$library redis-server --port 0 --unixsocket "$folder/socket" --save '' >log 2>&1 &
server=$!
ask() { redis-cli -s "$folder/socket" "$@"; }
for _ in $(seq 200); do [ "$(ask ping 2>/dev/null)" = PONG ] && break; sleep 0.02; done
redis-benchmark -s "$folder/socket" -P 16 -n 100000 -q -d 100 -t set,get,lpush,sadd,hset >/dev/null || exit 1
ask eval "for i = 1, 150000 do redis.call('set', 'k' .. i, string.rep('v', i % 600)) end return 1" 0
ask eval "for i = 1, 150000 do if i % 20 > 0 then redis.call('del', 'k' .. i) end end return 2" 0
ask dbsize
ask shutdown nosave
wait $server
