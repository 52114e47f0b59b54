# SPDX-License-Identifier: MIT
"""Who is compared: allocators found on this machine, configured ones, the user's libraries, other builds of
fallow; and the proof that each of them serves malloc at all, before anything is measured.

This file must never measure, and never let an allocator through of which it is known that
another one would serve.
"""
import dataclasses
import glob
import json
import os
import shutil
import subprocess
import sys

import judgement
import machine

LIBRARY = "libfallow-malloc.so"
PEERS = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
                     "build-peers")
PATTERNS = {"jemalloc": "libjemalloc.so.2", "mimalloc": "libmimalloc.so.[0-9]",
            "tcmalloc": "libtcmalloc.so.4"}


@dataclasses.dataclass
class Allocator:
    library: str = ""  # none: the C library's
    variables: dict = dataclasses.field(default_factory=dict)
    thread: str = ""  # the name of a thread that proves the configuration
    origin: str = "found on this machine"
    about: dict = dataclasses.field(default_factory=dict)  # what the report says of it besides


# Configured ones: of which library, with what, and what shows that it was heeded. abort_conf: an option that
# jemalloc does not know ends the program instead of being passed over.
CONFIGURED = {
    "jemalloc-background": ("jemalloc", {"MALLOC_CONF": "abort_conf:true,background_thread:true"},
                            "jemalloc_bg_thd"),
    "jemalloc-decay0": ("jemalloc", {"MALLOC_CONF": "abort_conf:true,dirty_decay_ms:0,muzzy_decay_ms:0"}, ""),
    "jemalloc-background-decay0": ("jemalloc", {"MALLOC_CONF": "abort_conf:true,background_thread:true,"
                                                               "dirty_decay_ms:0,muzzy_decay_ms:0"},
                                   "jemalloc_bg_thd"),
}

# Google's tcmalloc keeps its caches by CPU where it can register a restartable sequence for a thread, which
# glibc does first since 2.35.
NO_RSEQ = {"GLIBC_TUNABLES": "glibc.pthread.rseq=0"}
NO_CACHES = "without its per-CPU caches, which makes it another allocator"

# Prints which file each function of the family comes from, as the dynamic linker resolves it for any program.
# In a program with fixed addresses, as Debian's Python is, the address of malloc may be a jump of the
# program's own: what counts is where it leads.
WHO_SERVES = """
import ctypes
process = ctypes.CDLL(None)
def behind(at):
    code = ctypes.string_at(at, 16)
    start = (4 if code.startswith(bytes.fromhex("f30f1efa")) else 0)
    start += code[start] == 0xf2
    if code[start:start + 2] != bytes.fromhex("ff25"):
        return at
    return ctypes.c_void_p.from_address(
        at + start + 6 + int.from_bytes(code[start + 2:start + 6], "little", signed=True)).value
maps = [line.split(None, 5) for line in open("/proc/self/maps")]
for name in ("malloc", "free", "calloc", "realloc", "posix_memalign"):
    at = behind(ctypes.cast(getattr(process, name), ctypes.c_void_p).value)
    print(name, next(line[5].strip() for line in maps for low, high in [line[0].split("-")]
                     if int(low, 16) <= at < int(high, 16)))
if hasattr(process, "MallocExtension_Internal_GetPerCpuCachesActive"):
    print("per_cpu_caches", process.MallocExtension_Internal_GetPerCpuCachesActive() & 255)
"""


def stop(text):
    sys.exit("compare: " + text)


def find(name):
    """The library of an allocator known by name; None if it is not on this machine."""
    for folder in ("/usr/lib/*/", "/usr/local/lib/", "/usr/lib/"):
        found = sorted(glob.glob(folder + PATTERNS.get(name, "lib%s*.so*" % name)))
        if found:
            return found[0]
    return None


def known(name, found):
    """By name alone: the system's, a configured one (of that which is already among those
    found), or one that is found."""
    if name == "system":
        return Allocator()
    of, variables, thread = CONFIGURED.get(name, (name, {}, ""))
    if variables and of in found:
        return dataclasses.replace(found[of], variables=variables, thread=thread,
                                   origin=found[of].origin + ", configured")
    library = find(of)
    return (Allocator(library, variables, thread, "%s, configured" % of if variables else Allocator.origin)
            if library else None)


def build(folder):
    """Another build of fallow."""
    library = os.path.join(os.path.abspath(folder), LIBRARY)
    if not os.path.exists(library):
        stop("there is no %s in %s: ninja -C %s" % (LIBRARY, folder, folder))
    return Allocator(library, origin="another build of fallow")


def given(path):
    """By a file, or a folder that is a build of fallow."""
    if os.path.isdir(path):
        return build(path)
    if not os.path.isfile(path):
        stop("there is no file " + path)
    if " " in os.path.abspath(path) or ":" in os.path.abspath(path):
        stop("LD_PRELOAD cannot name a file with a space or a colon: " + path)
    said = beside(path)
    return Allocator(os.path.abspath(path), origin=said.get("origin", "a library given"),
                     about=said.get("about", {}))


def beside(library):
    """What tools/peers wrote of a library that it built; nothing of any other."""
    try:
        with open(os.path.splitext(library)[0] + ".json") as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def peers(folder):
    """Those that tools/peers built there."""
    found = {beside(path)["name"]: given(path)
             for path in sorted(glob.glob(os.path.join(folder, "lib*.so"))) if beside(path)}
    return found or stop("nothing that tools/peers built is in %s: tools/peers FOLDER" % folder)


def add(found, name, it, word):
    if it is None:
        stop("no library for %s on this machine; a file: --with %s=PATH.so" % (word, word))
    if name in found:
        stop("two allocators would be called %s; give one another name: --with NAME=PATH" % name)
    found[name] = it


def add_asked(found, options):
    """What --with and --against name."""
    for word in options.with_:
        name, _, path = word.partition("=")
        add(found, name, given(path) if path else known(name, found), word)
    for word in options.against:
        if "/" in word or os.path.exists(word):
            name = os.path.basename(os.path.abspath(word))
            add(found, name if os.path.isdir(word) else name.split(".")[0], given(word), word)
        else:
            add(found, word, known(word, found), word)


def ours(options):
    return Allocator(os.path.join(options.build, LIBRARY), origin="built from this tree")


def usual(options):
    """Ours and those that it is compared with if nobody says otherwise, as far as they are on this
    machine."""
    if options.peers:
        return {"system": Allocator(), **peers(options.peers), judgement.OURS: ours(options)}
    found = {name: known(name, {})
             for name in ["system", "jemalloc"] +
             ([] if options.quick or options.own else ["mimalloc", "tcmalloc"])}
    for name in [name for name, it in found.items() if it is None]:
        print("not on this machine, left out: " + name)
        del found[name]
    return {**found, judgement.OURS: ours(options)}


def twice(options):
    """One allocator and a copy of it (A/A): of the same contents, but another file, so that it
    can be proved who served."""
    built = peers(options.peers) if options.peers else {}
    it = ours(options) if options.aa == judgement.OURS else built.get(options.aa) or known(options.aa, built)
    if it is None:
        stop("no library for %s on this machine" % options.aa)
    copy = dataclasses.replace(it, origin="a copy of " + options.aa)
    if it.library:
        os.makedirs(options.out, exist_ok=True)
        copy.library = os.path.join(options.out, "copy-of-%s.so" % options.aa)
        shutil.copyfile(it.library, copy.library)
    options.base = options.aa
    return {options.aa: it, "copy": copy}


def chosen(options):
    """{name: Allocator} of a comparison; sets its base where that is left open."""
    if options.aa:
        return twice(options)
    found = usual(options)
    add_asked(found, options)
    for name in options.only:
        if name not in found:
            add(found, name, known(name, found), name)
    if options.only:
        found = {name: it for name, it in found.items() if name in options.only}
    if options.base not in found:
        options.base = next(iter(found))
    return found


def who_serves(it):
    """({function: file that it comes from}, what was said besides) in a Python with it preloaded."""
    variables = {**machine.clean_environment(), **it.variables,
                 **({"LD_PRELOAD": it.library} if it.library else {})}
    done = subprocess.run([sys.executable, "-c", WHO_SERVES], env=variables, text=True, capture_output=True)
    return dict(line.split(None, 1) for line in done.stdout.splitlines()), done.stderr.strip()


def strangers(it, served):
    """{function: file that it comes from} of those that are not its library's."""
    return {function: file for function, file in served.items()
            if function != "per_cpu_caches" and os.path.realpath(file) != os.path.realpath(it.library)}


def why(said):
    """What the dynamic linker said, and what it means where that is known."""
    line = said.splitlines()[0] if said else ""
    more = (": it takes more static thread-local storage than the C library has left"
            if "static TLS" in line else "")
    return "; " + line + more if line else ""


def with_caches(name, it, served):
    """Gives Google's tcmalloc the caches of each CPU that it is known by, where glibc's registration is what
    keeps them from it; or has the report say that it is without."""
    if "per_cpu_caches" not in served:
        return
    if served["per_cpu_caches"] == "0":
        helped = dataclasses.replace(it, variables={**it.variables, **NO_RSEQ})
        if who_serves(helped)[0].get("per_cpu_caches") == "1":
            it.variables = helped.variables
            print("%s: its per-CPU caches need %s=%s, which it gets" %
                  ((name,) + next(iter(NO_RSEQ.items()))))
        else:
            it.about["warning"] = NO_CACHES
            print("%s runs %s" % (name, NO_CACHES))
            return
    it.about["per-CPU caches"] = "active"


def prove(found):
    """Stops where somebody else would serve: a library that the dynamic linker passes over (static TLS that
    does not fit, another architecture, a missing library), one that has no malloc, or half a family."""
    for name, it in found.items():
        served, said = who_serves(it)
        if not served:
            print("%s: not even a Python runs on it: %s" %
                  (name, said.splitlines()[-1] if said else "no reason said"))
        if it.library:
            with_caches(name, it, served)
            strange = strangers(it, served)
            if strange:
                others = sorted({os.path.basename(file) for file in strange.values()})
                stop("%s would not serve: with %s preloaded, %s: from %s%s" % (
                    name, it.library, ", ".join(strange), ", ".join(others), why(said)))
