#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# nginx under wrk: files and headers come out the same, and it ends in order.
. "$(dirname "$0")/common.sh" "$1"
need nginx wrk curl
work() {
  local here=$PWD port=$((21000 + $$ % 20000))
  mkdir -p www tmp && seq 100000 >www/numbers.txt && printf 'hello\n' >www/index.html &&
    chmod -R a+rX "$place" .
  cat >nginx.conf <<CONF
user root; worker_processes 2; pid $here/nginx.pid; error_log $here/error.log; daemon off;
events { worker_connections 256; }
http { access_log off; gzip on; gzip_types text/plain;
  client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp;
  uwsgi_temp_path tmp; scgi_temp_path tmp; server { listen 127.0.0.1:$port; root $here/www; } }
CONF
  nginx -p "$here" -c "$here/nginx.conf" >nginx.log 2>&1 &
  local server=$!
  for _ in $(seq 100); do LD_PRELOAD= curl -s "http://127.0.0.1:$port/" >/dev/null && break; sleep 0.1; done
  [ -z "${LD_PRELOAD:-}" ] || grep -q 'r-xp.*libfallow-malloc' /proc/$server/maps ||
    { echo "not on fallow"; return 1; }
  LD_PRELOAD= wrk -t1 -c20 -d2 -H 'Accept-Encoding: gzip' "http://127.0.0.1:$port/numbers.txt" >wrk.out 2>&1
  grep -qE 'Non-2xx|Socket errors' wrk.out && { cat wrk.out; return 1; }
  grep -q 'requests in' wrk.out && echo served
  LD_PRELOAD= curl -s "http://127.0.0.1:$port/numbers.txt" | sha256sum
  LD_PRELOAD= curl -s --compressed "http://127.0.0.1:$port/numbers.txt" | sha256sum
  kill -QUIT $server; wait $server; echo "ended $?"
}
same files_under_load work
