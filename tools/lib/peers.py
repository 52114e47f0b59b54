# SPDX-License-Identifier: MIT
"""The second half of tools/peers: finds source trees of other allocators in a folder, builds each as a
release library to preload, and says what became of each.

A tree is known by a file that only it has. It is copied, and the copy is built as its authors say, so that
nothing is ever written into the user's. This file must never download anything, and never leave the library
of an earlier build where a later one failed.
"""
import argparse
import dataclasses
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time

import allocators
import machine

LIB = os.path.dirname(os.path.abspath(__file__))
ERROR_LINES = 5
CMAKE = "cmake -S %s -B out -G Ninja -DCMAKE_BUILD_TYPE=Release %s && cmake --build out -j$JOBS --target %s"


@dataclasses.dataclass
class Recipe:
    marker: str  # a file that tells its tree from others
    script: str  # in the copy of the tree, after which it has
    library: str  # this one
    version: tuple  # (file, pattern): what the tree itself says
    needs: str = ""  # another tree
    compilers: tuple = ("gcc", "g++")
    files: tuple = ()  # of ours, that take part in the build


RECIPES = {
    "jemalloc": Recipe("include/jemalloc/internal/arena_externs.h",
                       "[ -f configure ] || autoconf; ./configure && make -j$JOBS build_lib_shared",
                       "lib/libjemalloc.so.2", ("ChangeLog", r"^\* ([0-9.]+) \(")),
    "mimalloc": Recipe("include/mimalloc.h",
                       CMAKE % (".", "-DMI_BUILD_TESTS=OFF -DMI_BUILD_STATIC=OFF -DMI_BUILD_OBJECT=OFF",
                                "mimalloc"),
                       "out/libmimalloc.so", ("include/mimalloc.h", r"define MI_MALLOC_VERSION +([0-9]+)")),
    # Its docs/BUILDING.md: gcc is not recommended.
    "snmalloc": Recipe("src/snmalloc/snmalloc.h",
                       CMAKE % (".", "-DSNMALLOC_BUILD_TESTING=OFF -DSNMALLOC_STATIC_LIBRARY=OFF",
                                "snmallocshim"),
                       "out/libsnmallocshim.so", ("vcpkg.json", r'"version[a-z-]*": "([^"]+)"'),
                       compilers=("clang", "clang++")),
    "rpmalloc": Recipe("rpmalloc/rpmalloc.c", "python3 configure.py --toolchain gcc --config release && "
                       "so=$(grep -o 'bin/linux/release/[^ ]*/librpmalloc.so' build.ninja | head -1) && "
                       "ninja -j$JOBS $so && cp $so .",
                       "librpmalloc.so", ("rpmalloc/rpmalloc.h", r'define RPMALLOC_VERSION "([^"]+)"')),
    "tcmalloc": Recipe("tcmalloc/tcmalloc.cc",
                       'mkdir peer && cp "$LIB/tcmalloc.cmake" peer/CMakeLists.txt && '
                       + CMAKE % ("peer", '"-DTCMALLOC=$PWD" "-DABSEIL=$NEEDED"', "tcmalloc"),
                       "out/libtcmalloc.so", ("", ""), needs="abseil-cpp", files=("tcmalloc.cmake",)),
}
WANTED = ("jemalloc", "mimalloc2", "mimalloc3", "snmalloc", "rpmalloc", "tcmalloc")
VERSIONS = {**{of: recipe.version for of, recipe in RECIPES.items()}, "abseil-cpp": ("", "")}
MARKERS = {**{of: recipe.marker for of, recipe in RECIPES.items()}, "abseil-cpp": "absl/base/config.h"}


@dataclasses.dataclass
class Tree:
    of: str
    path: str
    version: str
    commit: str

    @property
    def name(self):
        return self.of + re.match(r"\d*", self.version).group() if self.of == "mimalloc" else self.of

    @property
    def origin(self):
        return "%s built from source%s" % (self.version, ", commit " + self.commit if self.commit else "")


def git(path, *words):
    """What git says of a tree that is a repository of its own."""
    if not os.path.exists(os.path.join(path, ".git")):
        return ""
    try:
        return subprocess.run(["git", "--no-optional-locks", "-c", "safe.directory=*", "-C", path, *words],
                              text=True, capture_output=True).stdout.strip()
    except OSError:
        return ""


def files(path):
    """Files of a tree, without those of version control."""
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(set(folders) - {".git"})
        yield from (os.path.join(folder, name) for name in sorted(names))


def dotted(number):
    """mimalloc's: 217 is 2.1.7, 20401 is 2.4.1."""
    step = 10 if number < 1000 else 100
    return "%d.%d.%d" % (number // step // step, number // step % step, number % step)


def said_version(path, file, pattern):
    """What the tree's own file says; else the day of its newest file."""
    try:
        with open(os.path.join(path, file), errors="replace") as text:
            said = re.search(pattern, text.read(), re.MULTILINE).group(1)
        return dotted(int(said)) if said.isdigit() else said
    except (OSError, AttributeError):
        return time.strftime("%Y-%m-%d",
                             time.gmtime(max((os.lstat(it).st_mtime for it in files(path)), default=0)))


def version_of(path, file, pattern):
    tag = re.sub(r"^\D+(?=\d)", "", git(path, "describe", "--tags"))
    day = "" if file else git(path, "log", "-1", "--format=%cs")
    return tag or day or said_version(path, file, pattern)


def commit_of(path):
    """Not by describe --dirty, which writes into the repository."""
    commit = git(path, "rev-parse", "HEAD")[:12]
    return (commit + "-dirty" * bool(git(path, "status", "--porcelain", "--untracked-files=no"))
            if commit else "")


def rank(version):
    return [int(word) for word in re.findall(r"\d+", version)]


def found_trees(folder):
    """({name: the newest tree}, others of the same name)."""
    found, left = {}, []
    for path in sorted(it.path for it in os.scandir(folder) if it.is_dir()):
        for of, marker in MARKERS.items():
            if os.path.isfile(os.path.join(path, marker)):
                it = Tree(of, path, version_of(path, *VERSIONS[of]), commit_of(path))
                have = found.setdefault(it.name, it)
                if have is not it:
                    found[it.name], other = ((it, have)
                                             if rank(it.version) > rank(have.version) else (have, it))
                    left.append(other)
    return found, left


def digest(recipe, paths, compilers):
    """Of all that a build is made of."""
    it = hashlib.sha256(repr((recipe, compilers)).encode())
    for path in paths:
        for file in [path] if os.path.isfile(path) else files(path):
            it.update(os.path.relpath(file, path).encode())
            if os.path.isfile(file):
                with open(file, "rb") as contents:
                    it.update(contents.read())
    return it.hexdigest()


def available(compilers):
    """Those that the authors recommend, where they are there."""
    return compilers if all(shutil.which(it) for it in compilers) else ("gcc", "g++")


class Place:
    """Where the build of a tree goes, and what is known of it."""
    def __init__(self, out, name):
        self.library, self.facts, self.log, self.copy = (
            os.path.join(out, form % name) for form in ("lib%s.so", "lib%s.json", "%s.log", "%s.build"))

    def forget(self):
        for path in (self.library, self.facts):
            if os.path.exists(path):
                os.remove(path)


def known_digest(place):
    try:
        with open(place.facts) as file:
            return json.load(file)["digest"] if os.path.exists(place.library) else ""
    except (OSError, ValueError, KeyError):
        return ""


def run_script(tree, recipe, place, compilers, needed, jobs):
    """Does the recipe's script end well, and leave its library?"""
    shutil.rmtree(place.copy, ignore_errors=True)
    shutil.copytree(tree.path, place.copy, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    variables = {**machine.clean_environment(), "CC": compilers[0], "CXX": compilers[1], "JOBS": str(jobs),
                 "LIB": LIB, "NEEDED": needed}
    with open(place.log, "w") as log:
        done = subprocess.run(["bash", "-c", recipe.script], cwd=place.copy, env=variables,
                              stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    built = os.path.join(place.copy, recipe.library)
    if done.returncode or not os.path.exists(built):
        return False
    shutil.copyfile(built, place.library)
    shutil.rmtree(place.copy)
    return True


def last_lines(path):
    with open(path, errors="replace") as file:
        return "".join("    " + line
                       for line in file.read().splitlines(keepends=True)[-ERROR_LINES:]).rstrip("\n")


def new_library(tree, recipe, place, compilers, needed, options):
    """Builds it; what failed, if something did."""
    place.forget()
    print("%s: building, %s" % (tree.name, place.log), flush=True)
    if not run_script(tree, recipe, place, compilers, needed, options.jobs):
        return "its build failed; the end of %s:\n%s" % (place.log, last_lines(place.log))
    it = allocators.given(place.library)
    served, said = allocators.who_serves(it)
    if not served or allocators.strangers(it, served):
        place.forget()
        return "it was built, but %s%s" % ("would not serve" if served else "a Python on it ends at once",
                                           allocators.why(said))
    return ""


def build(tree, found, options):
    """Whether there is a library of this tree now, and a line that says so or why not."""
    recipe, place = RECIPES[tree.of], Place(options.out, tree.name)
    needed = found[recipe.needs].path if recipe.needs in found else ""
    if recipe.needs and not needed:
        place.forget()
        return False, "needs a tree of %s in the same folder, and there is none" % recipe.needs
    compilers = available(recipe.compilers)
    compiler = machine.output(compilers[1], "--version")
    key = digest(recipe, [tree.path] + [needed] * bool(needed) +
                 [os.path.join(LIB, it) for it in recipe.files], compiler)
    kept = key == known_digest(place) and not options.again
    failed = "" if kept else new_library(tree, recipe, place, compilers, needed, options)
    if failed:
        return False, failed
    # Of a kept one too: its commit or tag may be another, although its files are not.
    with open(place.facts, "w") as file:
        about = {"compiler": compiler, **({recipe.needs: found[recipe.needs].origin} if needed else {})}
        json.dump({"name": tree.name, "origin": tree.origin, "about": about, "digest": key}, file, indent=1)
    return True, "as built before" if kept else "built"


def arguments():
    parser = argparse.ArgumentParser(prog="tools/peers")
    parser.add_argument("folder", metavar="FOLDER", help="in whose folders source trees are")
    parser.add_argument("--out", default=allocators.PEERS, metavar="DIRECTORY",
                        help="where libraries and logs go (build-peers)")
    parser.add_argument("--again", action="store_true", help="build what has not changed, too")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N",
                        help="commands at a time (one for each processor)")
    options = parser.parse_args()
    if not os.path.isdir(options.folder):
        sys.exit("peers: there is no folder " + options.folder)
    options.out = os.path.abspath(options.out)
    return options


def main():
    options = arguments()
    found, left = found_trees(options.folder)
    os.makedirs(options.out, exist_ok=True)
    done = {name: build(tree, found, options) for name, tree in found.items() if tree.of in RECIPES}
    for name in list(done) + [name for name in WANTED if name not in found]:
        print("%-10s %s" % (name, "%s: %s" % (found[name].origin, done[name][1])
                            if name in done else "not found in " + options.folder))
    for tree in left:
        print("%-10s %s in %s: left out, another is newer" % (tree.name, tree.version, tree.path))
    built = [found[name] for name, (well, _) in done.items() if well]
    if not built:
        sys.exit("peers: nothing was built")
    print("\nall of them:  tools/compare --peers" +
          ("" if options.out == allocators.PEERS else " " + options.out))
    words = ["--with %s-%s=%s" % (it.of, it.version, Place(options.out, it.name).library) for it in built]
    print("or some:      tools/compare " + " ".join(words))
    sys.exit(0 if all(well for well, _ in done.values()) else 1)


if __name__ == "__main__":
    main()
