# SPDX-License-Identifier: MIT
"""One run of one command on one allocator: a fresh process, its time, its memory, its output,
and proof of who served."""
import hashlib
import os
import subprocess
import tempfile
import time

import machine
import noise

SAMPLE_SECONDS = 0.02


def environment(row, allocator):
    """What the command runs in. The launcher adds LD_PRELOAD."""
    return {**machine.clean_environment(), "LC_ALL": "C", "COMPARE_PRELOAD": allocator.library,
            **allocator.variables, **row.variables}


def descendants(process):
    found, left = [], [process]
    while left:
        pid = left.pop()
        found.append(pid)
        try:
            with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
                left += [int(word) for word in file.read().split()]
        except OSError:
            pass
    return found


def resident_bytes(pids):
    total = 0
    for pid in pids:
        try:
            with open("/proc/%d/statm" % pid) as file:
                total += int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
        except (OSError, IndexError):
            pass
    return total


def contents(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def threads(pid):
    try:
        return [contents("/proc/%d/task/%s/comm" % (pid, it)).decode().strip()
                for it in os.listdir("/proc/%d/task" % pid)]
    except OSError:
        return []


def count_threads(pid):
    try:
        return os.stat("/proc/%d/task" % pid).st_nlink - 2
    except OSError:
        return 0


def served_by(pids, allocator):
    """Does one of the processes have the library mapped, its options in its environment, and the
    thread that comes of them?"""
    wanted = ["%s=%s" % pair for pair in allocator.variables.items()]
    for pid in pids:
        if (allocator.library and
                os.path.realpath(allocator.library).encode() not in contents("/proc/%d/maps" % pid)):
            continue
        if not set(wanted) <= set(contents("/proc/%d/environ" % pid).decode(errors="replace").split("\0")):
            continue
        if not allocator.thread or allocator.thread in threads(pid):
            return True
    return False


def watch(process, allocator, deadline):
    """Resident memory of all processes over time until the first has ended, whether the allocator served in
    one of them, and the most threads that one of them had."""
    start, curve, served, most = time.monotonic(), [], not (allocator.library or allocator.variables), 1
    while process.poll() is None and time.monotonic() < deadline:
        pids = descendants(process.pid)[1:]  # without the launcher
        served = served or served_by(pids, allocator)
        curve.append((round(time.monotonic() - start, 3), resident_bytes(pids)))
        most = max([most] + [count_threads(pid) for pid in pids])
        time.sleep(SAMPLE_SECONDS)
    return {"served": served, "curve": curve, "threads": most}


def system_calls(launcher, row, allocator, timeout):
    """How many system calls the command and its children make, counted by strace in a run of
    its own; None: not known."""
    with tempfile.TemporaryDirectory() as folder:
        counts = os.path.join(folder, "counts")
        traced = ["strace", "-f", "-c", "-qq", "-o", counts, launcher, os.path.join(folder, "usage"),
                  "" if row.preloads_itself else allocator.library] + row.command
        try:
            subprocess.run(traced, env=environment(row, allocator), stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=timeout * 5,
                           start_new_session=True)
            with open(counts) as file:
                total = [line.split() for line in file if line.rstrip().endswith("total")]
            return int(total[0][3] if len(total[0]) > 4 else total[0][2]) if total else None
        except (OSError, subprocess.TimeoutExpired, ValueError, IndexError):
            return None


def error_of(status, stderr):
    said = stderr.decode(errors="replace").strip().splitlines()
    how = "ended by signal %d" % (status - 128) if status > 128 else "exit status %d" % status
    return how + (": " + said[-1] if said else "")


def own_figures(text):
    """{name: value} of what a workload says of itself: figure NAME VALUE."""
    said = [line.split() for line in text.decode(errors="replace").splitlines() if line.startswith("figure ")]
    return {name: float(value) for _, name, value in said}


def figures_of(words, text, row):
    """What the launcher wrote, and the program."""
    return {"seconds": float(words[1]), "cpu_seconds": float(words[2]) + float(words[3]),
            "system_seconds": float(words[3]), "peak_kib": int(words[4]), "faults": int(words[5]),
            "output": hashlib.sha256(text).hexdigest()[:16] if row.output_counts else "",
            "own": own_figures(text) if row.kind == "workload" else {}}


def started(launcher, row, allocator, folder, counters):
    """The process, with its files in a folder; the launcher is what it is, or what perf runs."""
    preload, counted = ("" if row.preloads_itself else allocator.library,
                        counters.command(os.path.join(folder, "counts")) if counters else [])
    with open(os.path.join(folder, "out"), "wb") as out, open(os.path.join(folder, "err"), "wb") as err:
        return subprocess.Popen(counted + [launcher, os.path.join(folder, "usage"), preload] + row.command,
                                env=environment(row, allocator), stdin=subprocess.DEVNULL, stdout=out,
                                stderr=err, start_new_session=True)


def run(launcher, row, allocator, timeout, watched=False, keep_output=False, counters=None):
    """A dict of figures, or one with "error". Watched runs sample memory and look for the library; their time
    is not used, and nothing is counted in them."""
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        before = noise.snapshot()
        process = started(launcher, row, allocator, folder, None if watched else counters)
        deadline = time.monotonic() + timeout
        if watched:
            figures.update(watch(process, allocator, deadline))
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
            return {"error": "took longer than %d s" % timeout}
        except KeyboardInterrupt:  # it is in a session of its own, and has not been told
            os.killpg(process.pid, 9)
            process.wait()
            raise
        after = noise.snapshot()
        text, stderr, words = (contents(os.path.join(folder, name)) for name in ("out", "err", "usage"))
        words = words.split()
        if counters and not watched:
            figures.update(counters.read(os.path.join(folder, "counts")))
    if len(words) < 6:
        return {"error": error_of(process.returncode, stderr)}
    figures.update(figures_of(words, text, row))
    figures["noise"] = noise.between(before, after, figures["cpu_seconds"])
    if keep_output:
        figures["text"] = text.decode(errors="replace")
    if b"from LD_PRELOAD cannot be preloaded" in stderr and "served" in figures:
        figures["served"] = False  # in one of its programs at least, ld.so says
    if int(words[0]):
        figures["error"] = error_of(int(words[0]), stderr)
    return figures
