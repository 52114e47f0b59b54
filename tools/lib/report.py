# SPDX-License-Identifier: MIT
"""Results as Markdown for a terminal, and as one self-contained HTML file with plots."""
import html as html_
import io
import statistics

import estimates

OURS = "fallow"


def cell_ratio(results, row, name, key="seconds"):
    cell = results["results"][row["name"]][name]
    return cell.get("ratio_" + key)


def means(results, kind=None, key="seconds"):
    """Geometric means of the ratios, by allocator; of rows that all allocators finished."""
    found = {}
    complete = [row for row in results["rows"] if (kind is None or row["kind"] == kind) and
                all(cell_ratio(results, row, name, key) for name in results["allocators"])]
    for name in results["allocators"]:
        found[name] = estimates.geometric_mean((cell_ratio(results, row, name, key)["median"], row["weight"]) for row in complete)
    return found, len(complete)


def against_peers(results):
    """(row, peer, ratio) of fallow to each single peer."""
    for row in results["rows"]:
        cells = results["results"][row["name"]]
        ours = cells.get(OURS, {})
        for name in results["allocators"]:
            if name != OURS and "error" not in ours and "error" not in cells[name] and ours.get("runs") and cells[name]["runs"]:
                ratio = estimates.ratio([run["seconds"] for run in ours["runs"]], [run["seconds"] for run in cells[name]["runs"]])
                yield row["name"], name, ratio


def show(ratio):
    if ratio is None:
        return "–"
    sign = {"faster": "−", "slower": "+", "no difference": "="}[estimates.verdict(ratio)]
    return "%.2f %s" % (ratio["median"], sign)


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


def time_table(results):
    names = results["allocators"]
    lines = []
    for row in results["rows"]:
        cells = results["results"][row["name"]]
        base = median_of(cells[results["base"]], "seconds")
        line = [row["name"], figure(base, "%.3f s")]
        for name in names:
            cell = cells[name]
            if "error" in cell:
                line.append("failed")
            else:
                ratio = cell_ratio(results, row, name)
                line.append(show(ratio) + ("" if name == results["base"] or not ratio else " [%.2f, %.2f] %.2f" %
                                           (ratio["low"], ratio["high"], ratio["quartile"])))
        lines.append(line)
    return table(["row", "base"] + names, lines)


def memory_table(results):
    names = results["allocators"]
    lines = []
    for row in results["rows"]:
        cells = results["results"][row["name"]]
        lines.append([row["name"]] + [figure(median_of(cells[name], "peak_kib", 1 / 1024)) + " / " +
                                      figure(median_of(cells[name], "faults", 1 / 1000), "%.1fk") + " / " +
                                      figure(cells[name].get("mib_seconds")) for name in names])
    return table(["peak MiB / faults / MiB s"] + names, lines)


def calls_table(results):
    return table(["system calls of a run"] + results["allocators"],
                 [[row["name"]] + [figure(results["results"][row["name"]][name].get("system_calls"), "%d")
                                   for name in results["allocators"]] for row in results["rows"]])


def idle_table(results):
    keys = ["floor", "now", "1s", "10s", "60s", "purged"]
    return table(["MiB resident after a burst"] + keys, [[name] + [it.get(key, "–") for key in keys] for name, it in results["idle"].items()])


def more_tables(results):
    """(title, table) of what was asked for besides."""
    if results["latency"]:
        yield "Single operations (bench/workloads/latency.c, medians of five runs)", latency_table(results)
    if results.get("idle"):
        yield "After a burst to 512 MiB, 95 % freed, no call (bench/memory/bursts.c mixed); purged: by the allocator's own call", idle_table(results)
    if any("system_calls" in cell for cells in results["results"].values() for cell in cells.values()):
        yield "System calls of one run, by strace", calls_table(results)


def summary_table(results):
    names = results["allocators"]
    lines = []
    kinds = [(None, "all")] + [(kind, kind + "s") for kind in ("program", "workload") if any(row["kind"] == kind for row in results["rows"])]
    for key, label in (("seconds", "time"), ("cpu_seconds", "CPU time"), ("peak_kib", "peak resident")):
        for kind, kind_label in kinds:
            values, count = means(results, kind, key)
            lines.append(["%s, %s (%d)" % (label, kind_label, count)] + [figure(values[name], "%.3f") for name in names])
    return table(["geometric mean, to " + results["base"]] + names, lines)


def latency_table(results):
    lines = [[name + ", " + operation] + [figure(value, "%.0f") for value in values]
             for operation in ("malloc", "free") for name, it in results["latency"].items() for values in [it.get(operation, [])] if values]
    return table(["nanoseconds of one operation", "p50", "p99", "p99.9", "p99.99", "max"], lines)


def lost_rows(results):
    return ["%s to %s: %.2f [%.2f, %.2f]" % (row, peer, ratio["median"], ratio["low"], ratio["high"])
            for row, peer, ratio in against_peers(results) if ratio["low"] > 1.05]


def failures(results):
    return ["%s on %s: %s" % (row, name, cell["error"]) for row, cells in results["results"].items()
            for name, cell in cells.items() if "error" in cell]


def unproved(results):
    return ["%s on %s" % (row, name) for row, cells in results["results"].items()
            for name, cell in cells.items() if "watched" in cell and not cell["watched"]["served"]]


def fact_lines(results):
    facts = results["facts"]
    lines = ["%s: %s" % (key, value) for key, value in facts.items() if key != "allocators"]
    for name, about in facts["allocators"].items():
        lines.append("%s: %s" % (name, ", ".join("%s %s" % pair for pair in about.items())))
    return lines + ["command: " + results["command"], "rounds: %d" % results["rounds"]]


LEGEND = ("Time as a ratio to %s: median of the ratios within a round, − faster, + slower, = no difference; in brackets its 95 %% "
          "interval, then the ratio of the lower quartiles.")


def markdown(results):
    parts = ["# fallow compared", summary_table(results), LEGEND % results["base"], time_table(results),
             "Peak resident memory in MiB and page faults (medians), and MiB seconds of the watched run:", memory_table(results)]
    for title, text in more_tables(results):
        parts += [title + ":", text]
    if OURS in results["allocators"]:
        lost = lost_rows(results)
        parts.append("Rows in which fallow is slower than a peer, the whole interval above 1.05: " + ("none" if not lost else "\n\n" + "\n".join("- " + it for it in lost)))
    for title, lines in (("Failed:", failures(results)), ("Not proved that the allocator named was the one that served:", unproved(results))):
        if lines:
            parts.append(title + "\n\n" + "\n".join("- " + it for it in lines))
    parts.append("\n".join("    " + line for line in fact_lines(results)))
    return "\n\n".join(parts) + "\n"


# Plots. Each is drawn twice, for light and for dark surroundings; a style sheet shows one.

PALETTE = {"light": ["#0b6e4f", "#c1440e", "#3b5b92", "#8a6d00", "#7a3e8e", "#555555"],
           "dark": ["#4fd1a5", "#ff9166", "#8fb4ff", "#e8c547", "#d39ae6", "#bbbbbb"]}
MARKS = "osD^vP"


def colours(results, theme):
    names = [OURS] * (OURS in results["allocators"]) + [name for name in results["allocators"] if name != OURS]
    return {name: (PALETTE[theme][i % 6], MARKS[i % 6]) for i, name in enumerate(names)}


def svg(draw, results, theme, size):
    from matplotlib.figure import Figure
    import matplotlib
    ink = "#222222" if theme == "light" else "#dddddd"
    style = {"text.color": ink, "axes.edgecolor": ink, "axes.labelcolor": ink, "xtick.color": ink, "ytick.color": ink,
             "svg.fonttype": "none", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    with matplotlib.rc_context(style):
        it = Figure(figsize=size, layout="constrained")
        it.patch.set_alpha(0)
        draw(it, results, colours(results, theme))
        out = io.StringIO()
        it.savefig(out, format="svg", transparent=True)
    text = out.getvalue()
    return text[text.index("<svg"):]


def draw_ratios(it, results, colour, key="seconds", label="time"):
    axes = it.add_subplot()
    rows = list(reversed(results["rows"]))
    for name in results["allocators"]:
        if name == results["base"]:
            continue
        for y, row in enumerate(rows):
            ratio = cell_ratio(results, row, name, key)
            if ratio:
                axes.plot([ratio["low"], ratio["high"]], [y, y], color=colour[name][0], linewidth=1.5, alpha=0.6)
                axes.plot([ratio["median"]], [y], marker=colour[name][1], color=colour[name][0], markersize=5, linestyle="",
                          label=name if y == 0 else None)
    axes.axvline(1, linewidth=1, color=colour[results["base"]][0])
    axes.set_yticks(range(len(rows)), [row["name"] for row in rows])
    axes.set_xscale("log")
    ticks = [0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.4, 2, 3, 5]
    low, high = axes.get_xlim()
    shown = [tick for tick in ticks if low * 0.9 <= tick <= high * 1.1]
    axes.set_xticks(shown, ["%g" % tick for tick in shown])
    axes.minorticks_off()
    axes.grid(axis="both", alpha=0.2)
    axes.set_xlabel("%s, ratio to %s (left is better); bars: 95 %% intervals" % (label, results["base"]))
    handles = {name: axes.plot([], [], marker=colour[name][1], color=colour[name][0], linestyle="")[0]
               for name in results["allocators"] if name != results["base"]}
    axes.legend(handles.values(), handles.keys(), frameon=False, ncols=6, loc="lower center", bbox_to_anchor=(0.5, 1.0))


def draw_peaks(it, results, colour):
    draw_ratios(it, results, colour, "peak_kib", "peak resident memory")


def draw_scatter(it, results, colour):
    axes = it.add_subplot()
    for name in results["allocators"]:
        points = [(cell_ratio(results, row, name)["median"], cell_ratio(results, row, name, "peak_kib")["median"])
                  for row in results["rows"] if cell_ratio(results, row, name) and cell_ratio(results, row, name, "peak_kib")]
        if points:
            axes.plot(*zip(*points), linestyle="", marker=colour[name][1], color=colour[name][0], markersize=4, alpha=0.4)
            middle = [estimates.geometric_mean((value, 1) for value in axis) for axis in zip(*points)]
            axes.plot(*middle, linestyle="", marker=colour[name][1], color=colour[name][0], markersize=11, label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("{x:g}")
    axes.grid(alpha=0.2, which="both")
    axes.set_xlabel("time, ratio to %s" % results["base"])
    axes.set_ylabel("peak resident, ratio to %s" % results["base"])
    axes.legend(frameon=False, title="large: the mean")


def draw_curves(it, results, colour):
    rows = [row for row in results["rows"] if any(len(cell.get("watched", {}).get("curve", [])) > 5
                                                   for cell in results["results"][row["name"]].values())]
    columns = 3
    lines = max(1, -(-len(rows) // columns))
    for n, row in enumerate(rows):
        axes = it.add_subplot(lines, columns, n + 1)
        for name in results["allocators"]:
            curve = results["results"][row["name"]][name].get("watched", {}).get("curve", [])
            axes.plot([point[0] for point in curve], [point[1] / (1 << 20) for point in curve], color=colour[name][0],
                      linewidth=1.2, label=name)
        axes.set_title(row["name"], fontsize=9)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.2)
        if n == 0:
            axes.legend(frameon=False, fontsize=7)
    it.supxlabel("seconds of one run", fontsize=9)
    it.supylabel("resident MiB, all processes of the run", fontsize=9)


def draw_latency(it, results, colour):
    for n, operation in enumerate(("malloc", "free")):
        axes = it.add_subplot(1, 2, n + 1)
        for name, by_operation in results["latency"].items():
            values = by_operation.get(operation, [])
            axes.plot(range(len(values)), values, marker=colour[name][1], color=colour[name][0], linewidth=1.2, label=name)
        axes.set_xticks(range(5), ["p50", "p99", "p99.9", "p99.99", "max"])
        axes.set_yscale("log")
        axes.set_ylabel("nanoseconds of one " + operation)
        axes.grid(alpha=0.2)
        if n == 0:
            axes.legend(frameon=False)


STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #222; background: #fff; }
pre, table { font: 12.5px/1.45 ui-monospace, monospace; } pre { overflow-x: auto; }
table { border-collapse: collapse; display: block; overflow-x: auto; } td, th { padding: 2px 10px; text-align: right; border-bottom: 1px solid #8884; white-space: nowrap; }
td:first-child, th:first-child { text-align: left; } .dark { display: none; } svg { max-width: 100%; height: auto; }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #16181b; } .light { display: none; } .dark { display: block; } }
@media print { body { color: #000; background: #fff; max-width: none; } .light { display: block; } .dark { display: none; } }
"""


def html_table(text):
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if not line.startswith("|-")]
    out = "".join("<tr>" + "".join("<%s>%s</%s>" % (tag, html_.escape(cell), tag) for cell in row) + "</tr>"
                  for tag, row in zip(["th"] + ["td"] * len(rows), rows))
    return "<table>" + out + "</table>"


def html(results, path):
    """False: there is nothing to plot with."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    height = max(2.5, 0.26 * len(results["rows"]) + 1.2)
    curves = max(1, -(-len(results["rows"]) // 3)) * 1.9 + 0.6
    plots = [("Time", draw_ratios, (9, height)), ("Peak resident memory", draw_peaks, (9, height)),
             ("Time against memory", draw_scatter, (7, 5)), ("Memory over time", draw_curves, (9.5, curves))]
    if results["latency"]:
        plots.append(("Single operations", draw_latency, (9.5, 3.5)))
    parts = ["<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'><title>fallow compared</title><style>", STYLE,
             "</style><h1>fallow compared</h1>", html_table(summary_table(results))]
    for title, draw, size in plots:
        parts.append("<h2>%s</h2>" % title)
        for theme in ("light", "dark"):
            parts.append("<div class=%s>%s</div>" % (theme, svg(draw, results, theme, size)))
    parts += ["<h2>Every row</h2><p>%s</p>" % html_.escape(LEGEND % results["base"]), html_table(time_table(results)),
              "<p>Peak resident memory in MiB and page faults (medians), and MiB seconds of the watched run:</p>", html_table(memory_table(results))]
    for title, text in more_tables(results):
        parts += ["<h2>%s</h2>" % html_.escape(title), html_table(text)]
    for title, lines in (("Rows in which fallow is slower than a peer, the whole interval above 1.05", lost_rows(results) if OURS in results["allocators"] else []),
                         ("Failed", failures(results)), ("Not proved that the allocator named served", unproved(results))):
        parts.append("<h2>%s</h2><ul>%s</ul>" % (title, "".join("<li>" + html_.escape(it) for it in lines) or "<li>none"))
    parts.append("<h2>Where this comes from</h2><pre>%s</pre>" % html_.escape("\n".join(fact_lines(results))))
    with open(path, "w") as file:
        file.write("".join(parts))
    return True
