#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Headless Chromium renders a page, with its own allocator beside ours in its many processes.
. "$(dirname "$0")/common.sh" "$1"
need chromium
cat >page.html <<'HTML'
<html><body><h1 id=t></h1><script>let s=0;const a=[];
for(let i=0;i<50000;i++){a.push({i,t:'x'.repeat(i%50)});s+=a[i].t.length}
document.getElementById('t').textContent='sum '+s;</script></body></html>
HTML
work() {
  timeout 100 chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
    --disable-background-networking --disable-component-update --disable-sync --user-data-dir="$PWD/data" \
    --dump-dom "file://$place/page.html" 2>err.log | grep -o 'sum [0-9]*'
}
same page work
