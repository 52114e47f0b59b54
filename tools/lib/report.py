# SPDX-License-Identifier: MIT
"""Results as text: tables, lists, where they come from. markdown.py and page.py make a
report of the same parts.

Everything said of who is faster is judgement.py's. This file must never compare two figures
by itself, nor measure.
"""
import statistics

import claims
import estimates
import judgement

SIGNS = {claims.FASTER: "−", claims.SLOWER: "+", claims.EQUAL: "=", claims.UNDECIDED: "?"}


def table(head, lines):
    rows = [head] + lines
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(head))]
    text = []
    for n, row in enumerate(rows):
        text.append("| " + " | ".join(str(cell).ljust(width) for cell, width in zip(row, widths)) + " |")
        if n == 0:
            text.append("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def median_of(cell, key, scale=1.0):
    values = [run[key] for run in cell.get("runs", []) if key in run]
    return statistics.median(values) * scale if values else None


def figure(value, form="%.1f"):
    return "–" if value is None else form % value


def interval(it, form="%.2f"):
    """Of an estimate: its ratio and, where there is one, its interval."""
    if it is None:
        return "–"
    return form % it["ratio"] + (" [%s, %s]" % (form % it["low"], form % it["high"]) if it["low"] else "")


def time_cell(judged, row, name):
    if "error" in judged.results["results"][row][name]:
        return "failed"
    it = judged.ratio(row, name)
    if it is None or name == judged.base:
        return "–" if it is None else "1"
    bounds = " [%.2f, %.2f]" % (it["low"], it["high"]) if it["low"] else ""
    return "%.2f %s%s %.2f" % (it["ratio"], SIGNS[judged.verdict(row, name)], bounds,
                               judged.quartiles(row, name))


def time_table(judged):
    lines = [[row["name"],
              figure(median_of(judged.results["results"][row["name"]][judged.base], "seconds"), "%.3f s")] +
             [time_cell(judged, row["name"], name) for name in judged.names] for row in judged.rows]
    return table(["row", "base"] + judged.names, lines)


def memory_table(judged):
    lines = []
    for row in judged.rows:
        cells = judged.results["results"][row["name"]]
        lines.append([row["name"]] + [figure(median_of(cells[name], "peak_kib", 1 / 1024)) + " / " +
                                      figure(median_of(cells[name], "faults", 1 / 1000), "%.1fk") + " / " +
                                      figure(cells[name].get("mib_seconds")) for name in judged.names])
    return table(["peak MiB / faults / MiB s"] + judged.names, lines)


def calls_table(judged):
    return table(["system calls of a run"] + judged.names,
                 [[row["name"]] +
                  [figure(judged.results["results"][row["name"]][name].get("system_calls"), "%d")
                   for name in judged.names] for row in judged.rows])


BESIDE_TITLE = ("Single operations of one thread with few small blocks, beside another thread (medians of "
                "three runs): alone; while a burst that was just freed goes back to the "
                "system; while the allocator's own call for that (malloc_trim or what stands for it) runs in "
                "a loop; while threads come and go; while arenas come and go, which fallow alone has. The "
                "longest is often a turn of another thread")
GROWTH_TITLE = ("Growth (bench/growth): the same operations where the live heap is ×4 and ×16 as large, or "
                "threads are more; the slope is the exponent, 0: cost does not grow, 1: in proportion, in "
                "brackets its 95 % interval by itself. A few rounds, of which nothing is claimed; "
                "size-scattered has in it what the program's own cache misses cost on any allocator")
COUNTERS = (("cycles", "M cycles"), ("instructions", "M instructions"), ("cache_misses", "M cache misses"),
            ("tlb_misses", "M TLB misses"))


def counted(judged):
    """(key, label) of what perf counted in this comparison."""
    every = [run for cells in judged.results["results"].values() for cell in cells.values()
             for run in cell["runs"]]
    return [it for it in COUNTERS if any(it[0] in run for run in every)]


def counter_table(judged):
    """Means of all rows as ratios, with intervals and without verdicts; then the medians of each row."""
    which = counted(judged)
    lines = [["mean ratio, " + label[2:]] +
             ["1" if name == judged.base else interval(judged.mean(name, key=key), "%.3f")
              for name in judged.names] for key, label in which]
    for row in judged.rows:
        cells = judged.results["results"][row["name"]]
        lines.append([row["name"]] +
                     [" / ".join(figure(median_of(cells[name], key, 1e-6), "%.4g") for key, _ in which)
                      for name in judged.names])
    return table([" / ".join(label for _, label in which)] + judged.names, lines)


def instruction_cell(cells, name, base):
    count, its = cells[name].get("callgrind"), cells[base].get("callgrind")
    return ("–" if count is None else
            "%.3f M" % (count / 1e6) + (" (%.3f)" % (count / its) if its and name != base else ""))


def instruction_table(judged):
    rows = [(row["name"], judged.results["results"][row["name"]]) for row in judged.rows]
    return table(["instructions (ratio to %s)" % judged.base] + judged.names,
                 [[row] + [instruction_cell(cells, name, judged.base) for name in judged.names]
                  for row, cells in rows if any("callgrind" in cell for cell in cells.values())])


def own_table(judged):
    """Figures that workloads say of themselves, medians of runs; nothing where none does."""
    lines = []
    for row in judged.rows:
        cells = judged.results["results"][row["name"]]
        own = {name: [run["own"] for run in cells[name]["runs"] if run.get("own")] for name in judged.names}
        which = next((list(it[0]) for it in own.values() if it), [])
        lines += [["%s: %s" % (row["name"], it.replace("_", " "))] +
                  [figure(statistics.median(run[it] for run in own[name]) if own[name] else None, "%.4g")
                   for name in judged.names] for it in which]
    return table(["figure of a row"] + judged.names, lines) if lines else ""


def idle_table(results):
    """Older results have other seconds."""
    keys = list(dict.fromkeys(key for it in results["idle"].values() for key in it))
    return table(["MiB resident after a burst"] + keys,
                 [[name] + [it.get(key, "–") for key in keys] for name, it in results["idle"].items()])


def latency_table(results):
    lines = [[name + ", " + operation] + [figure(value, "%.0f") for value in values]
             for operation in ("malloc", "free") for name, it in results["latency"].items()
             for values in [it.get(operation, [])] if values]
    return table(["nanoseconds of one operation", "p50", "p99", "p99.9", "p99.99", "max"], lines)


def beside_table(results):
    """p99, p99.9 and the longest of single operations, by what else went on."""
    names = list(dict.fromkeys(name for it in results["beside"].values() for name in it))
    cell = lambda values: " / ".join(figure(values[n], "%.0f") for n in (1, 2, 4)) if values else "–"
    return table(["ns, p99 / p99.9 / longest"] + list(results["beside"]),
                 [[name + ", " + operation] +
                  [cell(it.get(name, {}).get(operation)) for it in results["beside"].values()]
                  for operation in ("malloc", "free") for name in names])


def relative(costs):
    """Medians at each point, to that at the first."""
    middles = [statistics.median(column) for column in zip(*costs)]
    return [it / middles[0] for it in middles]


def growth_table(judged):
    lines = []
    for row, it in judged.results["growth"].items():
        for name, costs in it["costs"].items():
            if not costs:
                lines.append([row + ", " + name, "failed", "–", "–"])
                continue
            points = ["×%g %.2f" % (point / it["points"][0], cost)
                      for point, cost in zip(it["points"][1:], relative(costs)[1:])]
            slope = estimates.slope(it["points"], costs)
            bounds = "" if slope["low"] is None else " [%.2f, %.2f]" % (slope["low"], slope["high"])
            lines.append([row + ", " + name, "%.1f" % statistics.median(round_[0] for round_ in costs),
                          ", ".join(points), "%.2f%s" % (slope["slope"], bounds)])
    return table(["CPU time of an operation", "ns at ×1", "relative to that", "slope"], lines)


def more_tables(judged):
    """(title, table) of what was asked for besides."""
    results = judged.results
    if results.get("latency"):
        yield "Single operations (bench/workloads/latency.c, medians of five runs)", latency_table(results)
    if results.get("beside"):
        yield BESIDE_TITLE, beside_table(results)
    own = own_table(judged)
    if own:
        yield "What workloads say themselves, medians", own
    if results.get("growth"):
        yield GROWTH_TITLE, growth_table(judged)
    if results.get("idle"):
        yield ("After a burst to 512 MiB, 95 % freed, no call (bench/memory/bursts.c mixed); purged: by the "
               "allocator's own call", idle_table(results))
    measured = {key for cells in results["results"].values() for cell in cells.values() for key in cell}
    if counted(judged):
        yield "Counted by the processor (perf), medians of runs", counter_table(judged)
    if "callgrind" in measured:
        yield ("Instructions of one run, by callgrind, of rows in which no second thread was seen",
               instruction_table(judged))
    if "system_calls" in measured:
        yield "System calls of one run, by strace", calls_table(judged)


def mean_cell(judged, name, key, group):
    it = judged.mean(name, key=key, group=group)
    if it is None or name == judged.base:
        return "–" if it is None else "1"
    return "%.3f %s" % (it["ratio"], SIGNS[judged.mean_verdict(name, None, key, group)]) + (
        " [%.3f, %.3f]" % (it["low"], it["high"]) if it["low"] else "")


def group_name(group):
    return "all" if group is None else "set %d" % group if isinstance(group, int) else group + "s"


def summary_table(judged):
    """Means; nothing where there is one row, which says it all."""
    if len(judged.rows) < 2:
        return ""
    lines = []
    for key, label in (("seconds", "time"), ("cpu_seconds", "CPU time"), ("peak_kib", "peak resident")):
        for group in judged.groups:
            lines.append(["%s, %s (%d)" % (label, group_name(group), len(judged.of_group(group)))] +
                         [mean_cell(judged, name, key, group) for name in judged.names])
    return table(["geometric mean, to " + judged.base] + judged.names, lines)


def verdict_table(judged):
    order = (claims.FASTER, claims.SLOWER, claims.EQUAL, claims.UNDECIDED)
    lines = [[name + " to " + to] + [counts[it] for it in order] for name, to in judged.pairs()
             for counts in [judged.counts(name, to)]]
    return table(["rows in which, in time"] +
                 [it + (" within %g %%" % (judged.within * 100) if it == claims.EQUAL else "")
                  for it in order], lines)


def best_line(judged):
    """Ours against the best of each row."""
    if judgement.OURS not in judged.names or len(judged.names) < 3 or not judged.complete:
        return ""
    it, said = judged.against_best()
    return ("" if it is None else
            "fallow to the peer that is the fastest of each row (chosen in the odd rounds, compared in the "
            "even ones): %s, %s." % (interval(it), said))


def lost_rows(judged, key="seconds"):
    return ["%s to %s: %s" % (row, peer, interval(it)) for row, peer, it in judged.lost(key)]


def failures(results):
    return ["%s on %s: %s" % (row, name, cell["error"]) for row, cells in results["results"].items()
            for name, cell in cells.items() if "error" in cell]


def unproved(results):
    return ["%s on %s" % (row, name) for row, cells in results["results"].items()
            for name, cell in cells.items() if "watched" in cell and not cell["watched"]["served"]]


def lists(judged):
    """(title, lines) of what is short of a clean win."""
    found = []
    if judgement.OURS in judged.names and not judged.against_itself():
        found += [("Rows in which fallow is slower than a peer, for certain", lost_rows(judged)),
                  ("Rows in which fallow's peak memory is above a peer's, for certain",
                   lost_rows(judged, "peak_kib"))]
    return found + [("Failed", failures(judged.results)),
                    ("Not proved that the allocator named was the one that served", unproved(judged.results))]


def fact_lines(results):
    facts = results["facts"]
    lines = ["%s: %s" % (key, value) for key, value in facts.items() if key != "allocators"]
    for name, about in facts["allocators"].items():
        lines.append("%s: %s" % (name, ", ".join("%s %s" % pair for pair in about.items())))
    seed = ["seed of the order: %s" % results["seed"]] if "seed" in results else []
    return (lines + ["command: " + results["command"], "rounds: %d" % results["rounds"]] + seed +
            results.get("counted", []) + noise_lines(results))


def spread(values, form):
    """The middle and the most of some figures."""
    return "%s in the median, %s at most" % (form % statistics.median(values), form % max(values))


def noise_lines(results):
    """What else the machine did, and what was repeated because of it; nothing where an older
    result did not record it."""
    every = [run["noise"] for cells in results["results"].values() for cell in cells.values()
             for run in cell["runs"] if "noise" in run]
    counts, lines = results.get("disturbed"), []
    if counts:
        lines.append("disturbed: of %d sets (a row on all allocators in a round) repeated: %d, "
                     "tries more: %d, counted although disturbed: %d" % (
                         counts["sets"], counts["repeated"], counts["tries"], counts["kept"]))
    for key, label, scale, form in (("others", "processors taken by other processes", 1, "%.2f"),
                                    ("steal", "processors taken by the hypervisor", 1, "%.2f"),
                                    ("waiting", "time in which somebody waited for a processor (PSI)",
                                     100, "%.0f %%")):
        shares = [scale * it[key] / it["seconds"] for it in every if it[key] is not None and it["seconds"]]
        lines += ["%s: %s" % (label, spread(shares, form))] if shares else []
    loads = [it["load"] for it in every if it["load"] is not None]
    return lines + (["load average: " + spread(loads, "%.2f")] if loads else [])


def rounds_line(judged):
    """What this number of rounds can bear."""
    rounds = judged.results["rounds"]
    if rounds < judged.needed:
        return "%d rounds bear no claim about %d comparisons: %d are needed (--rounds %d)." % (
            rounds, judged.comparisons, judged.needed, judged.needed)
    wanted = judged.rounds_to_decide()
    return "%d rounds; %d comparisons need %d at least.%s" % (
        rounds, judged.comparisons, judged.needed,
        " With the noise of this run, some %d would decide half of those that are undecided." % wanted
        if wanted and wanted > rounds else "")


def legend(judged):
    return ("Time as a ratio to %s: mean of the middle half of the ratios within a round; − faster or "
            "less, + slower or more, = equal within %g %%, ? undecided, all of them together with 95 %% "
            "(Holm), as all means together are; in brackets the 95 %% interval of the row by itself, where "
            "there are %d rounds or more; then the ratio of the lower quartiles. %s") % (
                judged.base, judged.within * 100, estimates.INTERVAL_ROUNDS_MIN, rounds_line(judged))


MEMORY_LEGEND = "Peak resident memory in MiB and page faults (medians), and MiB seconds of the watched run"
