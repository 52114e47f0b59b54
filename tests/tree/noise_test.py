# SPDX-License-Identifier: MIT
"""Disturbed runs of tools/compare, on a made-up machine: which sets are repeated, how often, and what becomes
of all tries; and on this machine, that a process beside a run is seen as one."""
import contextlib
import io
import os
import subprocess
import sys
import time
import types

sys.path.insert(0, sys.argv[1] + "/tools/lib")
sys.dont_write_bytecode = True

import noise
import rounds

failed = 0


def check(name, holds, said=""):
    global failed
    failed += not holds
    print("ok " + name if holds else "failed: %s: %s" % (name, said))


class Machine:
    """Runs nothing. Others take `others(number of the run)` of the processors;
    error(number, name) may end a run."""

    def __init__(self, others, error=lambda number, name: None):
        self.others, self.error, self.log = others, error, []

    def run(self, launcher, row, allocator, timeout, watched=False):
        number = len(self.log)
        self.log.append((row.name, allocator, watched))
        figures = {"seconds": float(number), "output": "",
                   "noise": {"seconds": 1.0, "steal": 0.0, "others": self.others(number) * os.cpu_count()}}
        return {"error": "gone"} if self.error(number, allocator) else figures


def measured(machine, names, repeat=2, rounds_=8):
    rows = [types.SimpleNamespace(name="one"), types.SimpleNamespace(name="two")]
    options = types.SimpleNamespace(launcher="", timeout=1, rounds=rounds_, repeat=repeat, seed=1)
    with contextlib.redirect_stdout(io.StringIO()):
        return rounds.measure(rows, {name: name for name in names}, options, machine.run)


def test_quiet():
    machine = Machine(lambda number: 0.05)
    results, counts = measured(machine, "ab")
    check("noise_quiet_sets_run_once",
          len(machine.log) == 2 * 2 * 9 and counts["tries"] == counts["kept"] == 0, counts)
    check("noise_each_round_counts_but_the_first",
          all(len(cell["runs"]) == 8 and "watched" in cell
              for cells in results.values() for cell in cells.values()))


def test_spell():
    """Others are there from the fifth to the seventh run, in the first counted set and the one after it."""
    machine = Machine(lambda number: 0.9 if number in (5, 6, 7) else 0.0)
    results, counts = measured(machine, "ab")
    check("noise_disturbed_sets_are_repeated",
          (counts["repeated"], counts["tries"], counts["kept"]) == (1, 2, 0), counts)
    dropped = {name: [it["seconds"] for cells in results.values() for it in cells[name]["dropped"]]
               for name in "ab"}
    check("noise_sets_are_repeated_whole",
          sorted(dropped["a"] + dropped["b"]) == [4, 5, 6, 7] and len(dropped["a"]) == 2, dropped)
    check("noise_repeats_add_no_rounds",
          all(len(cell["runs"]) == 8 for cells in results.values() for cell in cells.values()))


def test_never_quiet():
    machine = Machine(lambda number: 0.5 + number / 1e6)
    results, counts = measured(machine, "ab")
    check("noise_repeats_have_an_end",
          counts["tries"] == counts["tries_max"] == 5 and counts["kept"] == counts["sets"] == 16, counts)
    first = sorted(it["seconds"] for cells in results.values() for cell in cells.values()
                   for it in cell["runs"])[:2]
    check("noise_the_least_disturbed_set_counts", first == [4, 5], first)
    counts = measured(Machine(lambda number: 0.5), "ab", repeat=0)[1]
    check("noise_repeats_can_be_forbidden", counts["tries"] == 0 and counts["kept"] == 16, counts)


def test_failures():
    """Of b, in a try that repeats one: it is not dropped for being disturbed, nor for being a repeat."""
    machine = Machine(lambda number: 0.9, lambda number, name: name == "b" and number >= 6)
    results, _ = measured(machine, "ab")
    check("noise_failures_are_never_dropped",
          all(cells["b"].get("error") == "gone" for cells in results.values()), results)
    check("noise_others_go_on_after_a_failure", len(results["one"]["a"]["runs"]) == 8)


def test_interrupted():
    """In the third round that counts, after its first row; and before a round is whole, when
    there is nothing to report."""
    def interrupt(at):
        def error(number, name):
            if number == at:
                raise KeyboardInterrupt
        return Machine(lambda number: 0.0, error)

    results, _ = measured(interrupt(15), "ab")
    check("noise_interrupted_whole_rounds_count",
          all(len(cell["runs"]) == 2 for cells in results.values() for cell in cells.values()), results)
    try:
        measured(interrupt(5), "ab")
        check("noise_interrupted_early_ends", False)
    except KeyboardInterrupt:
        check("noise_interrupted_early_ends", True)


def test_here():
    """A busy process beside nothing at all is seen; one's own work is not."""
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    before = noise.snapshot()
    time.sleep(1.0)
    seen = noise.between(before, noise.snapshot(), 0.0)
    busy.kill()
    busy.wait()
    check("noise_sees_a_busy_process", seen["others"] > 0.2, seen)
    own = noise.between({"at": 0.0, "busy": 1.0, "steal": 2.0, "waiting": None, "load": 0.5},
                        {"at": 1.0, "busy": 2.0, "steal": 2.5, "waiting": None, "load": 9}, 0.9)
    check("noise_is_what_others_do",
          own == {"seconds": 1.0, "steal": 0.5, "others": 0.1, "load": 0.5, "waiting": None}, own)


test_quiet()
test_spell()
test_never_quiet()
test_failures()
test_interrupted()
test_here()
sys.exit(1 if failed else 0)
