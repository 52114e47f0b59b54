#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# node with worker threads: buffers, strings, JSON, and workers that come and go.
. "$(dirname "$0")/common.sh" "$1"
need node
cat >work.js <<'JS'
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const crypto = require('crypto');
if (!isMainThread) {
  const words = new Map();
  for (let i = 0; i < 50000; i++) words.set('k' + (i * workerData % 9973), 'v'.repeat(i % 200));
  const buffers = Array.from({ length: 300 }, (_, i) => Buffer.alloc(i * 700, i));
  const hash = crypto.createHash('sha256');
  for (const b of buffers) hash.update(b);
  parentPort.postMessage([workerData, words.size, hash.digest('hex')]);
} else {
  (async () => {
    const all = [];
    for (let round = 0; round < 3; round++)
      all.push(...await Promise.all([1, 2, 3, 4].map(n => new Promise((ok, no) => {
        const w = new Worker(__filename, { workerData: n + round });
        w.on('message', ok); w.on('error', no);
      }))));
    all.sort((a, b) => a[0] - b[0]);
    console.log(JSON.stringify(all));
    console.log(JSON.stringify(JSON.parse(JSON.stringify(all))) === JSON.stringify(all));
  })();
}
JS
work() { node "$place/work.js"; }
same workers work
