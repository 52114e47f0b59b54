# SPDX-License-Identifier: MIT
"""What a processor counts while a run goes on, by perf, where machine and kernel allow; and instructions
counted by valgrind, which needs neither, in a run of its own that nobody times.

Both are looked for and never installed: where they are not, this file says so in one line. It must
never decide a verdict.
"""
import glob
import os
import shutil
import subprocess
import tempfile

import runs

EVENTS = {"cycles": "cycles", "instructions": "instructions", "cache-misses": "cache_misses",
          "dTLB-load-misses": "tlb_misses"}
TIMES_SLOWER = 100  # callgrind than the processor, at most


def read(path):
    """{key: count} of a file that perf stat -x, wrote; without what it could not count."""
    found = {}
    with open(path) as file:
        for words in (line.split(",") for line in file):
            if len(words) > 2 and words[0].strip().isdigit():
                found[EVENTS.get(words[2].split(":")[0], "")] = int(words[0])
    found.pop("", None)
    return found


class Perf:
    """Of some events: the words that go before a command, and what they count of it and its children."""

    def __init__(self, events=tuple(EVENTS)):
        self.events = events

    def command(self, path):
        return ["perf", "stat", "-x,", "-o", path, "-e", ",".join(self.events), "--"]

    def read(self, path):
        try:
            return read(path)
        except OSError:
            return {}


def paranoid():
    try:
        with open("/proc/sys/kernel/perf_event_paranoid") as file:
            return file.read().strip()
    except OSError:
        return "not known"


def perf():
    """(Perf or None, one line: what is counted, or why nothing is)."""
    if not shutil.which("perf"):
        return None, "no counters: there is no perf command (Debian: linux-perf)"
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "counts")
        done = subprocess.run(Perf().command(path) + ["true"], capture_output=True,
                              env={**os.environ, "LC_ALL": "C"})
        counted = Perf().read(path)
    if done.returncode:
        return None, ("no counters: the kernel does not let perf count (kernel.perf_event_paranoid: %s)" %
                      paranoid())
    events = tuple(event for event, key in EVENTS.items() if key in counted)
    if not events:
        return None, ("no counters: perf finds none of %s here, as on many virtual machines" %
                      ", ".join(EVENTS))
    return Perf(events), "counters, by perf: " + ", ".join(events)


def single_threaded(cells):
    """Was more than one thread in a process never seen, whoever served? (One that an allocator
    brings is not the row's.)"""
    seen = [cell["watched"]["threads"] for cell in cells.values() if "threads" in cell.get("watched", {})]
    return bool(seen) and min(seen) == 1


def callgrind(launcher, row, allocator, timeout):
    """Instructions of the command and its children; None: not known."""
    with tempfile.TemporaryDirectory() as folder:
        command = [launcher, os.path.join(folder, "usage"), "" if row.preloads_itself else allocator.library,
                   "valgrind", "-q", "--tool=callgrind", "--trace-children=yes",
                   "--callgrind-out-file=" + os.path.join(folder, "calls.%p")] + row.command
        try:
            subprocess.run(command, env={**runs.environment(row, allocator), "PYTHONHASHSEED": "0"},
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                           timeout=timeout * TIMES_SLOWER, start_new_session=True)
            with open(os.path.join(folder, "usage")) as file:
                ended = file.read().split()[0] == "0"
        except (OSError, subprocess.TimeoutExpired, IndexError):
            return None
        totals = [int(line.split()[1]) for path in glob.glob(os.path.join(folder, "calls.*"))
                  for line in open(path) if line.startswith("totals:")]
        return sum(totals) if ended and totals else None


def instructions(rows, libraries, results, options):
    """Enters them where a row has one thread; one line: of how many rows, or why not."""
    if not shutil.which("valgrind"):
        return "no instructions: there is no valgrind (Debian: valgrind)"
    counted = [row for row in rows if single_threaded(results[row.name])]
    for row in counted:
        for name, it in libraries.items():
            print("instructions: %s on %s" % (row.name, name), flush=True)
            results[row.name][name]["callgrind"] = callgrind(options.launcher, row, it, options.timeout)
    return ("instructions, by callgrind, of rows in which no second thread was seen: %d of %d" %
            (len(counted), len(rows)))
