# SPDX-License-Identifier: MIT
"""The second half of tools/compare: measures the rows on the allocators in turn, and has
the results written down."""
import argparse
import functools
import json
import os
import statistics
import sys
import time

import allocators
import claims
import counters
import estimates
import growth
import judgement
import machine
import markdown
import page
import rounds
import rows as rows_
import runs

FOLDER = rows_.ROOT


def arguments():
    words, own = sys.argv[1:], []
    if "--" in words:
        at = words.index("--")
        words, own = words[:at], words[at + 1:]
    parser = argparse.ArgumentParser(prog="tools/compare",
                                     epilog="-- PROGRAM ARGUMENTS... compares on your own program.")
    parser.add_argument("--quick", action="store_true",
                        help="some of the rows, twelve rounds, system, jemalloc and fallow")
    parser.add_argument("--with", action="append", default=[], metavar="NAME=PATH.so", dest="with_",
                        help="another allocator, under a name of yours; or one by its name alone (%s, "
                             "or lib*.so here); any number" % ", ".join(allocators.CONFIGURED))
    parser.add_argument("--peers", nargs="?", const=allocators.PEERS, default="", metavar="DIRECTORY",
                        help="the others are those that tools/peers built there (build-peers), in place of "
                             "the distribution's")
    parser.add_argument("--against", action="append", default=[], metavar="BUILD-DIRECTORY",
                        help="another build of fallow; or a library, or a name; any number")
    parser.add_argument("--only", action="append", default=[], metavar="NAME",
                        help="only these allocators (of those there are)")
    parser.add_argument("--rows", default="", metavar="NAMES", help="only these rows, by commas")
    parser.add_argument("--rounds", type=int, default=0,
                        help="how often each row runs on each allocator (12; 20 in full); Ctrl-C ends with "
                             "those that are whole")
    parser.add_argument("--equal-within", type=float, default=claims.WITHIN * 100, metavar="PERCENT",
                        help="what counts as equal (%g)" % (claims.WITHIN * 100))
    parser.add_argument("--repeat", type=int, default=2, metavar="N",
                        help="how often at most a row is repeated in a round in which others took a tenth of "
                             "the processors (2; 0: never)")
    parser.add_argument("--seed", type=int, default=int(time.time()),
                        help="of the order within rounds (the time of day)")
    parser.add_argument("--base", default="jemalloc", help="whom the ratios are to")
    parser.add_argument("--aa", nargs="?", const=judgement.OURS, default="", metavar="NAME",
                        help="fallow, or another one by name, against a copy of itself: the noise")
    parser.add_argument("--idle", action="store_true",
                        help="what stays resident after a burst, up to 60 s later in place of 5 (a minute "
                             "and a half for each allocator)")
    parser.add_argument("--growth", action="store_true",
                        help="also the cost by size and by threads (half a minute for each allocator); "
                             "as in full")
    parser.add_argument("--system-calls", action="store_true",
                        help="also system calls of each row, by strace")
    parser.add_argument("--instructions", action="store_true",
                        help="also instructions of each row with one thread, by valgrind: exact, and slow "
                             "(some fifty times a run)")
    parser.add_argument("--no-counters", action="store_true",
                        help="without the processor's counters (perf), where there are some")
    parser.add_argument("--any-output", action="store_true",
                        help="with -- PROGRAM: its output need not be the same each time")
    parser.add_argument("--out", default="", metavar="FOLDER", help="where results go (build-try/compare)")
    parser.add_argument("--report", default="", metavar="results.json",
                        help="measure nothing: the report of these results again")
    parser.add_argument("--build", default=os.path.join(FOLDER, "build-try"), help=argparse.SUPPRESS)
    parser.add_argument("--timeout", type=int, default=120, metavar="SECONDS", help="for one run")
    options = parser.parse_args(words)
    options.own = own
    options.full = not (own or options.aa or options.quick or options.rows)
    options.build = os.path.abspath(options.build)
    options.launcher = os.path.join(options.build, "bench", "launch")
    options.rounds = options.rounds or (12 if options.quick or own else 20)
    usual = os.path.dirname(options.report) if options.report else os.path.join(options.build, "compare")
    options.out = os.path.abspath(options.out or usual)
    return options


def chosen_rows(options):
    """The rows, and the names of those that cannot run here."""
    rows, missing = (rows_.own(options.own), []) if options.own else rows_.read(options.build, options.quick)
    if options.rows:
        asked = options.rows.split(",")
        rows, missing = ([row for row in rows if row.name in asked],
                         [name for name in missing if name in asked])
        for name in set(asked) - {row.name for row in rows} - set(missing):
            sys.exit("compare: there is no row " + name + (" in --quick" if options.quick else ""))
    if not rows:
        sys.exit("compare: none of the rows can run here: " + ", ".join(missing))
    return rows, missing


# Beside what one thread's operations are timed (bench/workloads/latency.c), and for how long: memory goes
# back some time after it was freed. Their blocks are few and small, because fallow hurries with that only
# while no page is granted.
STEADY = ["threads=1", "slots=2000", "max=1k"]
BESIDE = {"alone": "beside=0 ms=300", "freed": "beside=1 ms=1200", "trims": "beside=2 ms=300",
          "threads": "beside=3 ms=300", "arenas": "beside=4 ms=300"}


def latencies(libraries, options, times=5, words=()):
    """Nanoseconds of single operations: {allocator: {operation: [p50, p99, p99.9, p99.99,
    max]}}, medians of some runs."""
    row = rows_.Row("workload", "latency", 1,
                    [os.path.join(options.build, "bench", "workload_latency"), *words])
    said = {name: {"malloc": [], "free": []} for name in libraries}
    for _ in range(times):
        for name, library in libraries.items():
            for line in runs.run(options.launcher, row, library, options.timeout,
                                 keep_output=True).get("text", "").splitlines():
                words = line.split()
                said[name][words[0]].append([int(word) for word in words[1:]])
    return {name: {operation: [statistics.median(column) for column in zip(*runs_)]
                   for operation, runs_ in it.items() if runs_} for name, it in said.items()}


def latencies_beside(libraries, options):
    """The same while another thread makes the allocator work: {beside what: as above}."""
    return {name: latencies(libraries, options, 3, STEADY + words.split()) for name, words in BESIDE.items()}


def idle(libraries, options):
    """MiB resident above the base after a burst to 512 MiB of which 95 % were freed: {allocator:
    {"floor", "now", "1s", ...}}."""
    seconds = ["1", "2", "3", "4", "5"] + (["10", "30", "60"] if options.idle else [])
    row, found = rows_.Row("program", "bursts", 1, [os.path.join(options.build, "bench", "bursts"),
                                                    "mixed", "1", "owner"] + seconds), {}
    for name, library in libraries.items():
        print("idle: %s" % name, flush=True)
        words = runs.run(options.launcher, row, library, options.timeout,
                         keep_output=True).get("text", "").split()
        found[name] = {key: words[words.index(key) + 1]
                       for key in ["floor", "now"] + [it + "s" for it in seconds] + ["purged"]
                       if key in words}
    return found


def count_system_calls(rows, libraries, results, options):
    for row in rows:
        for name, library in libraries.items():
            results[row.name][name]["system_calls"] = runs.system_calls(options.launcher, row, library,
                                                                        options.timeout)


def check_outputs(results, base):
    """A program that says something else on another allocator has failed there."""
    for cells in results.values():
        wanted = next((cells[name]["runs"][0]["output"] for name in ["system", base] + list(cells)
                       if name in cells and cells[name]["runs"]), "")
        for cell in cells.values():
            if any(run["output"] != wanted for run in cell["runs"] + cell["dropped"]):
                cell["error"] = "another output than on the others"


def stored(path):
    """The results of another time."""
    try:
        with open(path) as file:
            it = json.load(file)
        return it if it["results"] and it["rows"] else sys.exit("compare: there are no results in " + path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.exit("compare: %s is no results.json: %s" % (path, error))


def make_writable(folder):
    """Before anything is measured: what is found out at the end is lost."""
    try:
        os.makedirs(folder, exist_ok=True)
        if os.access(folder, os.W_OK):
            return
        why = "no permission"
    except OSError as error:
        why = error.strerror
    sys.exit("compare: cannot write to %s: %s" % (folder, why))


def write_report(results, folder):
    judged = judgement.Judgement(results, results.get("within", claims.WITHIN))
    text = markdown.markdown(judged)
    with open(os.path.join(folder, "report.md"), "w") as file:
        file.write(text)
    print(text)
    with open(os.path.join(folder, "report.html"), "w") as file:
        file.write(page.page(judged))
    print(os.path.join(folder, "report.html"))


def measured(rows, libraries, options):
    """(results, counts of disturbed sets, what was counted or why it was not), in full."""
    perf, said = (None, "counters: not wanted") if options.no_counters else counters.perf()
    print(said + ("" if perf or options.instructions or options.no_counters
                  else "; --instructions counts instructions by valgrind"))
    results, disturbed = rounds.measure(rows, libraries, options, functools.partial(runs.run, counters=perf))
    if not options.any_output:
        check_outputs(results, options.base)
    for cells in results.values():
        for cell in cells.values():
            cell["mib_seconds"] = estimates.integral(cell.get("watched", {}).get("curve", [])) / (1 << 20)
    if options.system_calls:
        count_system_calls(rows, libraries, results, options)
    counted = [said]
    if options.instructions:
        counted.append(counters.instructions(rows, libraries, results, options))
        print(counted[-1])
    return results, disturbed, counted


def main():
    options = arguments()
    if options.report:
        results = stored(options.report)
        make_writable(options.out)
        return write_report(results, options.out)
    libraries = allocators.chosen(options)
    allocators.prove(libraries)
    rows, missing = chosen_rows(options)
    for name in missing:
        print("not on this machine, left out: " + name)
    make_writable(options.out)
    print("rows: %d, rounds: %d, on %s; ratios to %s" %
          (len(rows), options.rounds, ", ".join(libraries), options.base))
    results, disturbed, counted = measured(rows, libraries, options)
    latency = {} if options.own or options.aa else latencies(libraries, options)
    everything = {"facts": machine.facts(libraries), "base": options.base, "rounds": options.rounds,
                  "missing": missing, "within": options.equal_within / 100, "seed": options.seed,
                  "disturbed": disturbed, "counted": counted,
                  "command": "tools/compare " + " ".join(sys.argv[1:]), "allocators": list(libraries),
                  "rows": [{"name": row.name, "kind": row.kind, "weight": row.weight, "set": row.set,
                            "command": row.command} for row in rows],
                  "results": results, "latency": latency,
                  "beside": latencies_beside(libraries, options) if options.full else {},
                  "idle": idle(libraries, options) if options.full or options.idle else {},
                  "growth": growth.measured(libraries, options) if options.full or options.growth else {}}
    with open(os.path.join(options.out, "results.json"), "w") as file:
        json.dump(everything, file, indent=1)
    write_report(everything, options.out)


if __name__ == "__main__":
    main()
