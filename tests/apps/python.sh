#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# python3: its own tests of json, dict, list and threading, and a workload with every object from malloc.
. "$(dirname "$0")/common.sh" "$1"
python=/usr/bin/python3
[ -x $python ] || { echo "skipped app_python: no /usr/bin/python3"; exit 77; }
work() {
  PYTHONMALLOC=malloc PYTHONHASHSEED=0 $python - <<'PYTHON'
import json, threading, hashlib
rows = [{"id": i, "name": "n%d" % i, "tags": [str(k) for k in range(i % 7)]} for i in range(60000)]
text = json.dumps(rows)
print(len(text), hashlib.sha256(text.encode()).hexdigest(), json.loads(text) == rows)
found = {}
def count(part):
    words = {}
    for row in rows[part::4]:
        for tag in row["tags"]:
            words[tag] = words.get(tag, 0) + 1
    found[part] = sorted(words.items())
threads = [threading.Thread(target=count, args=(i,)) for i in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
print(sorted(found.items()))
PYTHON
}
same objects_from_malloc work
if ! $python -c 'import test.test_json' 2>/dev/null; then
  echo "skipped python_own_tests: Debian's libpython3.11-testsuite is not there"
  exit 0
fi
# Of a test run the result is compared; times and the order of threads' output differ in any two runs.
for module in test_json test_dict test_list test_threading test_subprocess test_asyncio \
  test_multiprocessing_fork; do
  # The last three take minutes: only where all of it is asked for.
  case $module in
    test_subprocess | test_asyncio | test_multiprocessing_fork) [ "${APPS:-}" = all ] || continue ;;
  esac
  own() {
    PYTHONMALLOC=$1 $python -m unittest "test.$module" 2>&1 | grep -E '^(OK|FAILED|Ran)' |
      sed 's/ in .*s$//'
  }
  same "${module}_malloc" own malloc
  grep -q '^OK' plain.out || { echo "failed: $module is not OK"; exit 1; }
  [ "${APPS:-}" != all ] || same "${module}_pymalloc" own pymalloc
done
