# SPDX-License-Identifier: MIT
"""Objects, dictionaries, JSON and strings; every object from malloc (PYTHONMALLOC=malloc)."""
import hashlib
import json

digest = hashlib.sha256()
for round_ in range(3):
    documents = [{"id": i, "name": "document %d" % i, "tags": ["tag%d" % (i * k % 97) for k in range(i % 9)],
                  "body": "text " * (i % 40)} for i in range(15000)]
    again = json.loads(json.dumps(documents))
    assert again == documents
    words = {}
    for document in again:
        for tag in document["tags"]:
            words.setdefault(tag, []).append(document["id"])
    digest.update(json.dumps({tag: len(ids) for tag, ids in sorted(words.items())}).encode())
    joined = "".join(document["body"].replace("text", "word") for document in documents)
    digest.update(" ".join(sorted(joined.split(" "))).encode())
print(digest.hexdigest())
