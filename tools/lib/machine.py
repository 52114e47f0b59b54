# SPDX-License-Identifier: MIT
"""Where a result comes from: machine, kernel, settings, versions and hashes of what was compared."""
import glob
import hashlib
import os
import platform
import subprocess
import time


def first_line(path, usual="unknown"):
    try:
        with open(path) as file:
            return file.readline().strip()
    except OSError:
        return usual


def output(*command):
    try:
        return subprocess.run(command, text=True, capture_output=True).stdout.strip().splitlines()[0]
    except (OSError, IndexError):
        return "unknown"


def processor():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return "%d × %s" % (len(names), names[0] if names else "unknown")


def library_facts(path):
    if not path:
        return {"path": "the C library's", "version": " ".join(platform.libc_ver())}
    with open(path, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()[:16]
    package = output("dpkg-query", "-W", "-f=${Version}", output("sh", "-c", "dpkg-query -S %s | cut -d: -f1" % os.path.realpath(path)))
    return {"path": os.path.basename(os.path.realpath(path)), "sha256": digest,
            "version": package if package != "unknown" else "built from this tree"}


def facts(allocators):
    thp = "/sys/kernel/mm/transparent_hugepage/"
    with open("/proc/meminfo") as file:
        memory = file.readline().split()[1]
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "processor": processor(),
        "memory": "%d GiB" % (int(memory) >> 20),
        "virtual": "yes" if "hypervisor" in open("/proc/cpuinfo").read() else "no",
        "kernel": platform.release(),
        "thp": first_line(thp + "enabled"),
        "overcommit": first_line("/proc/sys/vm/overcommit_memory"),
        "governor": first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "none"),
        "libc": " ".join(platform.libc_ver()),
        "compiler": output("gcc", "--version"),
        "commit": output("git", "-C", os.path.dirname(__file__), "rev-parse", "--short", "HEAD"),
        "allocators": {name: library_facts(path) for name, path in allocators.items()},
    }


def find(name):
    """The library of an allocator known by name, or a path as it is."""
    if os.path.exists(name):
        return os.path.abspath(name)
    patterns = {"jemalloc": "libjemalloc.so.2", "mimalloc": "libmimalloc.so.[0-9]", "tcmalloc": "libtcmalloc.so.4"}
    found = []
    for folder in ("/usr/lib/*/", "/usr/local/lib/", "/usr/lib/"):
        found += sorted(glob.glob(folder + patterns.get(name, "lib%s*.so*" % name)))
    return found[0] if found else None
