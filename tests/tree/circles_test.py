# SPDX-License-Identifier: MIT
"""The house has rooms: what calls what, from the compiled files, and what includes what, from the sources.

    circles_test.py SOURCE LIBRARY.a...

A file is a source with the header of its name. It fails where files use each other in a circle, inside a
floor or between floors, and where a function stands in a header that is another file's. (system.h is also
system_linux.c's: a file for each system.)
"""
import collections
import os
import re
import subprocess
import sys


def symbols(library, source):
    """Yields (file, symbol, defined) for each file of the library; file: 'floor/name', from
    the name of the object."""
    listed = subprocess.run(["nm", "-o", "-P", "--no-sort", library], capture_output=True,
                            text=True, check=True).stdout
    for line in listed.splitlines():
        match = re.match(r".*\[src_([a-z]+)_(\w+)\.c\.o\]: (\S+) (\S)", line)
        if match:
            floor, name, symbol, kind = match.groups()
            yield f"{floor}/{name}", symbol, kind.upper() != "U"


def calls(libraries, source):
    """Which file uses what of which: {user: {definer: {symbols}}}, and {symbol: definer}."""
    home, used = {}, collections.defaultdict(set)
    for library in libraries:
        for file, symbol, defined in symbols(library, source):
            if defined:
                home[symbol] = file
            else:
                used[file].add(symbol)
    uses = collections.defaultdict(lambda: collections.defaultdict(set))
    for file, wanted in used.items():
        for symbol in wanted:
            if symbol in home and home[symbol] != file:
                uses[file][home[symbol]].add(symbol)
    return uses, home


def includes(source):
    """The same for includes: a source and the header of its name are one file."""
    uses = collections.defaultdict(lambda: collections.defaultdict(set))
    for folder, _, names in os.walk(os.path.join(source, "src")):
        floor = os.path.basename(folder)
        for name in names:
            if not name.endswith((".c", ".h")):
                continue
            file = f"{floor}/{name[:-2]}"
            with open(os.path.join(folder, name), encoding="utf-8") as text:
                for path in re.findall(r'^#include "([^"]+)"', text.read(), re.M):
                    target = os.path.normpath(os.path.join(floor, path))[:-2]
                    if target != file and os.path.exists(os.path.join(source, "src", target + ".h")):
                        uses[file][target].add(f"includes {os.path.basename(path)}")
    return uses


def circles(uses):
    """Tarjan: the sets of files that reach each other."""
    number, low, stack, found = {}, {}, [], []

    def visit(file):
        number[file] = low[file] = len(number)
        stack.append(file)
        for other in uses.get(file, {}):
            if other not in number:
                visit(other)
                low[file] = min(low[file], low[other])
            elif other in stack:
                low[file] = min(low[file], number[other])
        if low[file] == number[file]:
            circle = [stack.pop()]
            while circle[-1] != file:
                circle.append(stack.pop())
            if len(circle) > 1:
                found.append(sorted(circle))

    for file in sorted(uses):
        if file not in number:
            visit(file)
    return found


def is_own(header, file):
    """system.h and system_linux.c."""
    return file == header or file.startswith(header + "_")


def strangers(source, home):
    """Functions that are declared in a header of the floors, and defined in a file of another name."""
    for folder, _, names in os.walk(os.path.join(source, "src")):
        for name in sorted(names):
            if not name.endswith(".h"):
                continue
            header = f"{os.path.basename(folder)}/{name[:-2]}"
            with open(os.path.join(folder, name), encoding="utf-8") as text:
                for symbol in re.findall(r"^(?!typedef|static|#|\s|/)[^\n;{}]*?\b(fl_\w+)\([^;{]*\)[^;{]*;",
                                         text.read(), re.M):
                    if symbol in home and not is_own(header, home[symbol]):
                        yield f"{symbol} stands in {header}.h and is {home[symbol]}.c's"


def main(source, libraries):
    uses, home = calls(libraries, source)
    merged = collections.defaultdict(lambda: collections.defaultdict(set))
    for graph in (uses, includes(source)):
        for file, others in graph.items():
            for other, why in others.items():
                merged[file][other] |= why
    failed = len(uses) < 20
    if failed:
        print(f"failed: of {len(uses)} files only is known what they use")
    for circle in circles(merged):
        failed = True
        print("failed: a circle of", ", ".join(circle))
        for file in circle:
            for other in sorted(set(merged[file]) & set(circle)):
                print(f"    {file} uses {other}: {' '.join(sorted(merged[file][other]))}")
    for stranger in strangers(source, home):
        failed = True
        print("failed:", stranger)
    if not failed:
        print("ok circles_none, circles_functions_stand_in_their_own_header")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
