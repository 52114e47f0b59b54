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


def clean_environment():
    """The caller's, without what would meddle with an allocator."""
    meddling = ("LD_PRELOAD", "MALLOC_", "JE_MALLOC_", "FALLOW_", "MIMALLOC_", "TCMALLOC_", "GLIBC_TUNABLES")
    return {key: value for key, value in os.environ.items() if not key.startswith(meddling)}


def library_facts(it):
    about = {**({"options": " ".join("%s=%s" % pair for pair in it.variables.items())}
                if it.variables else {}), **it.about}
    if not it.library:
        return {"path": "the C library's", "version": " ".join(platform.libc_ver()), **about}
    with open(it.library, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()[:16]
    real = os.path.realpath(it.library)
    package = output("dpkg-query", "-W", "-f=${Version}",
                     output("sh", "-c", 'dpkg-query -S "$0" | cut -d: -f1', real))
    return {"path": os.path.basename(real), "sha256": digest,
            "version": package if package != "unknown" else it.origin, **about}


def facts(found):
    thp = "/sys/kernel/mm/transparent_hugepage/"
    with open("/proc/meminfo") as file:
        memory = file.readline().split()[1]
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "processor": processor(),
        "processors": len(os.sched_getaffinity(0)),  # that this comparison may use
        "memory": "%d GiB" % (int(memory) >> 20),
        "virtual": "yes" if "hypervisor" in open("/proc/cpuinfo").read() else "no",
        "kernel": platform.release(),
        "thp": first_line(thp + "enabled"),
        "overcommit": first_line("/proc/sys/vm/overcommit_memory"),
        "governor": first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "none"),
        "libc": " ".join(platform.libc_ver()),
        "compiler": output("gcc", "--version"),
        "commit": output("git", "-C", os.path.dirname(__file__), "describe", "--always",
                         "--dirty", "--exclude=*"),
        "allocators": {name: library_facts(it) for name, it in found.items()},
    }
