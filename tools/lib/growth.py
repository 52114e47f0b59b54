# SPDX-License-Identifier: MIT
"""How the cost of an operation grows, with the size of the live heap and with the number of threads:
bench/growth, in rounds.

Few rounds, and nothing is claimed of them. This file must never take time of building the heap for that of
operations: the figure is the workload's own.
"""
import argparse

import rounds
import rows as rows_

ROUNDS = 6  # as few as give an interval
FIGURE = "cpu_ns"


def costs(cells):
    """Of one allocator's cells, by point: by round, the cost at each point; nothing where a run failed."""
    if any("error" in cell for cell in cells):
        return []
    return [list(it) for it in zip(*([run["own"][FIGURE] for run in cell["runs"]] for cell in cells))]


def measured(libraries, options):
    """{name: {"command", "points", "costs": {allocator: [[cost at each point] in each round]}}}."""
    grown = rows_.growth(options.build)
    every = [row for _, points in grown.values() for row in points.values()]
    print("growth: %d points, %d rounds" % (len(every), ROUNDS))
    results, _ = rounds.measure(every, libraries, argparse.Namespace(**{**vars(options), "rounds": ROUNDS}))
    return {name: {"command": command, "points": list(points),
                   "costs": {library: costs([results[row.name][library] for row in points.values()])
                             for library in libraries}}
            for name, (command, points) in grown.items()}
