#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What documents name is there: the files that they link to or call by name, functions, paths. And each file
of a floor stands in the floor's README. Usage: docs_test.py SOURCE"""
import os
import re
import subprocess
import sys

root = sys.argv[1]
# Of other projects, of examples, or one for each case of a pattern.
FOREIGN_FILES = {"_ops.c", "memcheck.h", "script.py", "sdt.h", "server.c", "start.c", "stdio.h"}
# OpenMetrics' names, and prefixes.
FOREIGN_NAMES = {"fallow_class_", "fallow_class_live_bytes", "fallow_heap_", "fl_pages_"}


def tracked():
    listed = subprocess.run(["git", "-C", root, "ls-files"], capture_output=True, text=True)
    if listed.returncode == 0 and listed.stdout:
        return listed.stdout.splitlines()
    return [os.path.relpath(os.path.join(folder, name), root)
            for folder, _, names in os.walk(root) for name in names]


files = tracked()
documents = [name for name in files
             if re.fullmatch(r"(docs/[^/]*|src/.*/README|README|CONTRIBUTING|SECURITY)\.md|README\.md", name)]
names = {os.path.basename(name) for name in files}
sources = "\n".join(open(os.path.join(root, name), encoding="utf-8", errors="replace").read()
                    for name in files
                    if re.match(r"(src|include|tests|bench|tools|packaging|examples)/", name) and
                    not name.endswith(".md"))
words = set(re.findall(r"\b(?:fl|fallow|osmem)_[a-z_0-9]+\b", sources))
seeded_bugs = {os.path.basename(name)[:-6] for name in files if name.endswith(".patch")}

wrong = []
for document in documents:
    text = open(os.path.join(root, document), encoding="utf-8").read()
    for target in re.findall(r"\]\(([^)#: ]+)(?:#[^)]*)?\)", text):
        if not os.path.exists(os.path.join(root, os.path.dirname(document), target)):
            wrong.append(f"{document}: a link to {target}")
    for path in re.findall(r"`((?:src|include|tests|bench|tools|packaging|examples)/[\w./-]*\.\w+)`", text):
        if not os.path.exists(os.path.join(root, path)):
            wrong.append(f"{document}: the path {path}")
    for name in re.findall(r"\b[a-z_]+\.(?:c|h|py|sh|pml)\b", text):
        if name not in names | FOREIGN_FILES:
            wrong.append(f"{document}: the file {name}")
    for name in re.findall(r"\b(?:fl|fallow|osmem)_[a-z_0-9]+\b", text):
        if name not in words | FOREIGN_NAMES | seeded_bugs:
            wrong.append(f"{document}: the name {name}")

readmes = {os.path.dirname(name): open(os.path.join(root, name), encoding="utf-8").read() for name in files
           if re.fullmatch(r"src/\w+/README\.md", name)}
for name in files:
    if re.fullmatch(r"src/\w+/\w+\.[ch]", name):
        stem = os.path.basename(name)[:-2]
        if not re.search(rf"\b{stem}\.[ch]\b", readmes.get(os.path.dirname(name), "")):
            wrong.append(f"{os.path.dirname(name)}/README.md: a line for {stem}")

for line in sorted(set(wrong)):
    print("not there:", line)
print("not ok" if wrong else "ok", f"docs_name_what_is_there: {len(documents)} documents")
sys.exit(1 if wrong else 0)
