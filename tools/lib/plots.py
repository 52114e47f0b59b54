# SPDX-License-Identifier: MIT
"""The plots of a report, as SVG: each is drawn twice, for light and for dark surroundings; a style sheet shows one.

Needs matplotlib, which is imported where it is used, so that a machine without it still gets a report. This file must never
decide what is shown as a difference: it draws what judgement.py has.
"""
import io
import statistics

import judgement

PALETTE = {"light": ["#0b6e4f", "#c1440e", "#3b5b92", "#8a6d00", "#7a3e8e", "#555555"],
           "dark": ["#4fd1a5", "#ff9166", "#8fb4ff", "#e8c547", "#d39ae6", "#bbbbbb"]}
MARKS = "osD^vP"


def missing():
    """None, or what is missing for plots and how to get it."""
    try:
        import matplotlib.figure  # noqa: F401
    except Exception as error:  # one that does not fit its numpy fails in many ways
        return ("No plots: matplotlib is not on this machine, or does not load (%s). On Debian: apt install python3-matplotlib. With it, "
                "tools/compare --report results.json makes this report again.") % error
    return None


def colours(names, theme):
    names = [judgement.OURS] * (judgement.OURS in names) + [name for name in names if name != judgement.OURS]
    return {name: (PALETTE[theme][i % 6], MARKS[i % 6]) for i, name in enumerate(names)}


def svg(draw, judged, theme, size):
    from matplotlib.figure import Figure
    import matplotlib
    ink = "#222222" if theme == "light" else "#dddddd"
    style = {"text.color": ink, "axes.edgecolor": ink, "axes.labelcolor": ink, "xtick.color": ink, "ytick.color": ink,
             "svg.fonttype": "none", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    with matplotlib.rc_context(style):
        it = Figure(figsize=size, layout="constrained")
        it.patch.set_alpha(0)
        draw(it, judged, colours(judged.names, theme))
        out = io.StringIO()
        it.savefig(out, format="svg", transparent=True)
    text = out.getvalue()
    return text[text.index("<svg"):]


def draw_ratios(it, judged, colour, key="seconds", label="time"):
    axes = it.add_subplot()
    rows = list(reversed(judged.rows))
    for name in judged.names:
        if name == judged.base:
            continue
        for y, row in enumerate(rows):
            ratio = judged.ratio(row["name"], name, key=key)
            if ratio:
                if ratio["low"]:
                    axes.plot([ratio["low"], ratio["high"]], [y, y], color=colour[name][0], linewidth=1.5, alpha=0.6)
                axes.plot([ratio["ratio"]], [y], marker=colour[name][1], color=colour[name][0], markersize=5, linestyle="",
                          label=name if y == 0 else None)
    axes.axvline(1, linewidth=1, color=colour[judged.base][0])
    axes.set_yticks(range(len(rows)), [row["name"] for row in rows])
    axes.set_xscale("log")
    ticks = [0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.4, 2, 3, 5]
    low, high = axes.get_xlim()
    shown = [tick for tick in ticks if low * 0.9 <= tick <= high * 1.1]
    axes.set_xticks(shown, ["%g" % tick for tick in shown])
    axes.minorticks_off()
    axes.grid(axis="both", alpha=0.2)
    axes.set_xlabel("%s, ratio to %s (left is better); bars: 95 %% intervals" % (label, judged.base))
    handles = {name: axes.plot([], [], marker=colour[name][1], color=colour[name][0], linestyle="")[0]
               for name in judged.names if name != judged.base}
    axes.legend(handles.values(), handles.keys(), frameon=False, ncols=6, loc="lower center", bbox_to_anchor=(0.5, 1.0))


def draw_peaks(it, judged, colour):
    draw_ratios(it, judged, colour, "peak_kib", "peak resident memory")


def draw_scatter(it, judged, colour):
    axes = it.add_subplot()
    for name in judged.names:
        both = [(judged.ratio(row["name"], name), judged.ratio(row["name"], name, key="peak_kib")) for row in judged.rows]
        points = [(time["ratio"], peak["ratio"]) for time, peak in both if time and peak]
        if points:
            axes.plot(*zip(*points), linestyle="", marker=colour[name][1], color=colour[name][0], markersize=4, alpha=0.4)
            middle = [statistics.geometric_mean(axis) for axis in zip(*points)]
            axes.plot(*middle, linestyle="", marker=colour[name][1], color=colour[name][0], markersize=11, label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("{x:g}")
    axes.grid(alpha=0.2, which="both")
    axes.set_xlabel("time, ratio to %s" % judged.base)
    axes.set_ylabel("peak resident, ratio to %s" % judged.base)
    axes.legend(frameon=False, title="large: the mean")


def draw_curves(it, judged, colour):
    rows = [row for row in judged.rows if any(len(cell.get("watched", {}).get("curve", [])) > 5
                                                   for cell in judged.results["results"][row["name"]].values())]
    columns = 3
    lines = max(1, -(-len(rows) // columns))
    for n, row in enumerate(rows):
        axes = it.add_subplot(lines, columns, n + 1)
        for name in judged.names:
            curve = judged.results["results"][row["name"]][name].get("watched", {}).get("curve", [])
            axes.plot([point[0] for point in curve], [point[1] / (1 << 20) for point in curve], color=colour[name][0],
                      linewidth=1.2, label=name)
        axes.set_title(row["name"], fontsize=9)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.2)
        if n == 0:
            axes.legend(frameon=False, fontsize=7)
    it.supxlabel("seconds of one run", fontsize=9)
    it.supylabel("resident MiB, all processes of the run", fontsize=9)


def draw_latency(it, judged, colour):
    for n, operation in enumerate(("malloc", "free")):
        axes = it.add_subplot(1, 2, n + 1)
        for name, by_operation in judged.results["latency"].items():
            values = by_operation.get(operation, [])
            axes.plot(range(len(values)), values, marker=colour[name][1], color=colour[name][0], linewidth=1.2, label=name)
        axes.set_xticks(range(5), ["p50", "p99", "p99.9", "p99.99", "max"])
        axes.set_yscale("log")
        axes.set_ylabel("nanoseconds of one " + operation)
        axes.grid(alpha=0.2)
        if n == 0:
            axes.legend(frameon=False)
