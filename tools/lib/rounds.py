# SPDX-License-Identifier: MIT
"""The rounds of a comparison: every row on every allocator, in another order each time; what was
disturbed is repeated.

A set is one row on all allocators in one round. A disturbed one is repeated as a whole, because who had more
tries than the others alone would be likelier to have had a good one; and because whether it was disturbed
does not depend on who was the faster in it, what claims.py needs still holds. This file must never drop a run
that failed, nor forget one that was repeated.
"""
import random
import sys
import time

import noise
import runs

REPEATED_MAX = 0.25  # of all sets: on a machine that is never quiet, more would not help


class Progress:
    def __init__(self, total):
        self.total, self.done, self.start = total, 0, time.monotonic()

    def step(self, what):
        self.done += 1
        left = (time.monotonic() - self.start) / self.done * (self.total - self.done)
        if sys.stdout.isatty():
            print("\r%4d of %d, %d:%02d left: %-40s" % (self.done, self.total, left // 60, left % 60, what),
                  end="", flush=True)
        elif self.done % 100 == 0:
            print("%4d of %d, %d:%02d left: %s" % (self.done, self.total, left // 60, left % 60, what),
                  flush=True)


def failed(tried):
    return any("error" in it for it in tried.values())


def share(tried):
    return noise.share([it["noise"] for it in tried.values()])


def undisturbed(once, counts, repeat):
    """The set that once() makes, again while it is disturbed; the least disturbed one, and those
    that it was preferred to."""
    best, dropped = once(), []
    counts["sets"] += 1
    first = counts["tries"]
    while (not failed(best) and share(best) > noise.DISTURBED and counts["tries"] - first < repeat and
           counts["tries"] < counts["tries_max"]):
        counts["tries"] += 1
        again = once()
        if failed(again) or share(again) < share(best):
            best, again = again, best
        dropped.append(again)
    counts["repeated"] += counts["tries"] > first
    counts["kept"] += not failed(best) and share(best) > noise.DISTURBED
    return best, dropped


def enter(cells, tried, watched):
    for name, figures in tried.items():
        if "error" in figures:
            cells[name]["error"] = figures["error"]
        elif watched:
            cells[name]["watched"] = figures
        else:
            cells[name]["runs"].append(figures)


def leave_whole(results, rounds):
    """Forgets what a round that was broken off has measured: some rows have it, and others not."""
    for cells in results.values():
        for cell in cells.values():
            del cell["runs"][rounds:]


def measure(rows, allocators, options, run=runs.run):
    """(results[row][allocator]: {"runs": [...], "dropped": [...], "watched": {...}} or {"error": ...}, counts
    of disturbed sets). The first round, which warms up and watches memory, is not counted. Interrupted
    (Ctrl-C) after a whole round, it ends with those that are whole; options.rounds says how many."""
    results = {row.name: {name: {"runs": [], "dropped": []} for name in allocators} for row in rows}
    counts = {"sets": 0, "repeated": 0, "tries": 0, "kept": 0,
              "tries_max": int(REPEATED_MAX * len(rows) * options.rounds) + 1}
    progress, order = (Progress(len(rows) * len(allocators) * (options.rounds + 1)),
                       random.Random(options.seed))

    def once(row, watched):
        tried = {}
        for name in order.sample(list(allocators), len(allocators)):
            if "error" not in results[row.name][name]:
                progress.step("%s on %s" % (row.name, name))
                tried[name] = run(options.launcher, row, allocators[name], options.timeout, watched=watched)
        return tried

    def go_round(counted):
        for row in order.sample(rows, len(rows)):
            if not counted:
                enter(results[row.name], once(row, True), True)
                continue
            tried, dropped = undisturbed(lambda: once(row, False), counts, options.repeat)
            progress.total += sum(len(it) for it in dropped)
            enter(results[row.name], tried, False)
            for one in dropped:
                for name, figures in one.items():
                    results[row.name][name]["dropped"].append(figures)

    whole = -1
    try:
        for round_ in range(options.rounds + 1):
            go_round(round_ > 0)
            whole = round_
    except KeyboardInterrupt:
        if whole < 1:
            raise
        print("\ninterrupted: %d of %d rounds count" % (whole, options.rounds))
        leave_whole(results, whole)
        options.rounds = whole
    print()
    return results, counts
