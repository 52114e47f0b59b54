#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# memcached: values of all sizes, from several clients, and what is stored comes back.
. "$(dirname "$0")/common.sh" "$1"
need memcached python3
work() {
  local socket=$PWD/mc.sock
  memcached -u root -s "$socket" -m 64 -t 4 -I 2m >mc.log 2>&1 &
  local server=$!
  for _ in $(seq 100); do [ -S "$socket" ] && break; sleep 0.1; done
  [ -z "${LD_PRELOAD:-}" ] || grep -q 'r-xp.*libfallow-malloc' /proc/$server/maps ||
    { echo "not on fallow"; return 1; }
  LD_PRELOAD= python3 - "$socket" <<'PYTHON'
import socket, sys, threading, hashlib
def client(n, out):
    s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); f = s.makefile('rwb')
    h = hashlib.sha256()
    for i in range(1500):
        v = bytes([i % 251]) * (i * 37 % (5000 if i % 100 else 900000))
        f.write(b'set k%d.%d 0 0 %d\r\n%s\r\n' % (n, i % 300, len(v), v)); f.flush()
        assert f.readline() == b'STORED\r\n'
        f.write(b'get k%d.%d\r\n' % (n, i % 300)); f.flush()
        got = int(f.readline().split()[3]); h.update(f.read(got)); f.read(2)
        assert f.readline() == b'END\r\n'
    out[n] = h.hexdigest()
out = {}
threads = [threading.Thread(target=client, args=(n, out)) for n in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
print(sorted(out.items()))
PYTHON
  kill $server; wait $server; echo "ended $?"
}
same values work
