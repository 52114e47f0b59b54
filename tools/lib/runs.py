# SPDX-License-Identifier: MIT
"""One run of one command on one allocator: a fresh process, its time, its memory, its output, and proof of who served."""
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
    return {**machine.clean_environment(), "LC_ALL": "C", "COMPARE_PRELOAD": allocator.library, **allocator.variables, **row.variables}


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
        return [contents("/proc/%d/task/%s/comm" % (pid, it)).decode().strip() for it in os.listdir("/proc/%d/task" % pid)]
    except OSError:
        return []


def served_by(pids, allocator):
    """Does one of the processes have the library mapped, its options in its environment, and the thread that comes of them?"""
    wanted = ["%s=%s" % pair for pair in allocator.variables.items()]
    for pid in pids:
        if allocator.library and os.path.realpath(allocator.library).encode() not in contents("/proc/%d/maps" % pid):
            continue
        if not set(wanted) <= set(contents("/proc/%d/environ" % pid).decode(errors="replace").split("\0")):
            continue
        if not allocator.thread or allocator.thread in threads(pid):
            return True
    return False


def watch(process, allocator, deadline):
    """Resident memory of all processes over time until the first has ended, and whether the allocator served in one of them."""
    start, curve, served = time.monotonic(), [], not (allocator.library or allocator.variables)
    while process.poll() is None and time.monotonic() < deadline:
        pids = descendants(process.pid)[1:]  # without the launcher
        served = served or served_by(pids, allocator)
        curve.append((round(time.monotonic() - start, 3), resident_bytes(pids)))
        time.sleep(SAMPLE_SECONDS)
    return {"served": served, "curve": curve}


def system_calls(launcher, row, allocator, timeout):
    """How many system calls the command and its children make, counted by strace in a run of its own; None: not known."""
    with tempfile.TemporaryDirectory() as folder:
        counts = os.path.join(folder, "counts")
        traced = ["strace", "-f", "-c", "-qq", "-o", counts, launcher, os.path.join(folder, "usage"),
                  "" if row.preloads_itself else allocator.library] + row.command
        try:
            subprocess.run(traced, env=environment(row, allocator), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, timeout=timeout * 5, start_new_session=True)
            with open(counts) as file:
                total = [line.split() for line in file if line.rstrip().endswith("total")]
            return int(total[0][3] if len(total[0]) > 4 else total[0][2]) if total else None
        except (OSError, subprocess.TimeoutExpired, ValueError, IndexError):
            return None


def error_of(status, stderr):
    said = stderr.decode(errors="replace").strip().splitlines()
    how = "ended by signal %d" % (status - 128) if status > 128 else "exit status %d" % status
    return how + (": " + said[-1] if said else "")


def run(launcher, row, allocator, timeout, watched=False, keep_output=False):
    """A dict of figures, or one with "error". Watched runs sample memory and look for the library; their time is not
    used."""
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        said = os.path.join(folder, "usage")
        with open(os.path.join(folder, "out"), "w+b") as out, open(os.path.join(folder, "err"), "w+b") as err:
            before, preload = noise.snapshot(), "" if row.preloads_itself else allocator.library
            process = subprocess.Popen([launcher, said, preload] + row.command, env=environment(row, allocator),
                                       stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True)
            deadline = time.monotonic() + timeout
            if watched:
                figures.update(watch(process, allocator, deadline))
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()
                return {"error": "took longer than %d s" % timeout}
            after = noise.snapshot()
            out.seek(0)
            err.seek(0)
            text, stderr = out.read(), err.read()
        with open(said) as file:
            words = file.read().split()
    figures.update(seconds=float(words[1]), cpu_seconds=float(words[2]) + float(words[3]), system_seconds=float(words[3]),
                   peak_kib=int(words[4]), faults=int(words[5]))
    figures["noise"] = noise.between(before, after, figures["cpu_seconds"])
    figures["output"] = hashlib.sha256(text).hexdigest()[:16] if row.output_counts else ""
    if keep_output:
        figures["text"] = text.decode(errors="replace")
    if b"from LD_PRELOAD cannot be preloaded" in stderr and "served" in figures:
        figures["served"] = False  # in one of its programs at least, ld.so says
    if int(words[0]):
        figures["error"] = error_of(int(words[0]), stderr)
    return figures
