# SPDX-License-Identifier: MIT
"""The Python program that tools/try runs: JSON, dictionaries, strings, threads; every object from malloc.

Prints a digest of its results. Time and memory go to the file named by argument 1, as JSON.
"""
import hashlib
import json
import sys
import threading
import time


def memory_kib(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))


def documents(count):
    return [{"id": i, "name": "document %d" % i, "tags": ["tag%d" % (i * k % 97) for k in range(i % 9)],
             "body": "text " * (i % 60)} for i in range(count)]


def index(docs, part, parts, found):
    words = {}
    for doc in docs[part::parts]:
        for tag in doc["tags"]:
            words.setdefault(tag, []).append(doc["id"])
    found[part] = {tag: len(ids) for tag, ids in sorted(words.items())}


def work():
    digest = hashlib.sha256()
    for round_ in range(3):
        docs = documents(20000 + 10000 * round_)
        text = json.dumps(docs)
        again = json.loads(text)
        assert again == docs
        found = {}
        threads = [threading.Thread(target=index, args=(again, i, 4, found)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        digest.update(json.dumps(found, sort_keys=True).encode())
        joined = "".join(doc["body"].replace("text", "word") for doc in docs)
        digest.update(joined.encode())
        digest.update(" ".join(sorted(joined[:2000000].split(" "))).encode())
    return digest.hexdigest()


def main():
    start = time.perf_counter()
    digest = work()
    seconds = time.perf_counter() - start
    time.sleep(2)
    with open(sys.argv[1], "w") as out:
        json.dump({"seconds": seconds, "peak_kib": memory_kib("VmHWM"), "after_kib": memory_kib("VmRSS")},
                  out)
    print(digest)


main()
