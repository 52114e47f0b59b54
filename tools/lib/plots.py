# SPDX-License-Identifier: MIT
"""The plots of a report, as HTML with SVG inside it (svg.py): each allocator has a lane, a colour
and a mark of its own.

Needs nothing but Python. This file must never decide what is shown as a difference: it draws
what judgement.py has.
"""
import html

import judgement
import report
import svg

LANE = 11  # pixels
CURVE_MIN, CURVE_MAX = 6, 240  # points: a shorter run has no curve, a longer one is thinned
PERCENTILES = ("p50", "p99", "p99.9", "p99.99", "max")


def numbers(names):
    """{name: the number of its colour and mark}; ours always the same."""
    ordered = ([judgement.OURS] * (judgement.OURS in names) +
               [name for name in names if name != judgement.OURS])
    return {name: n for n, name in enumerate(ordered)}


def key(names, of):
    """Who has which mark, in the order of the lanes."""
    return "<p class=key>%s</p>" % " ".join(
        "<span><svg width=14 height=12>%s</svg> %s</span>" % (svg.mark(50, 6, of[name]), html.escape(name))
        for name in names)


def lanes(lines, kind=""):
    """Of (label, picture and what stands behind it)."""
    return "<div class='lanes %s'>%s</div>" % (
        kind, "".join("<div><span>%s</span>%s</div>" % (html.escape(label), it) for label, it in lines))


def grid(scale, height):
    return [svg.line(scale.at(tick), 0, scale.at(tick), height, "grid") for tick in scale.ticks()]


def axis(scale, words="%g".__mod__):
    return svg.picture(16, [svg.text(scale.at(tick), 12, words(tick)) for tick in scale.ticks()])


def duration(nanoseconds):
    each, unit = next(it for it in ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1, "ns"))
                      if nanoseconds >= it[0] or it[0] == 1)
    return "%g %s" % (nanoseconds / each, unit)


def said(it):
    return "%.3f" % it["ratio"] + (" [%.3f, %.3f]" % (it["low"], it["high"]) if it["low"] else "")


def ratio_lane(scale, it, y, name, number):
    bar = ([svg.line(scale.at(it["low"]), y, scale.at(it["high"]), y, "bar k%d" % (number % svg.COLOURS))]
           if it["low"] else [])
    return bar + [svg.mark(scale.at(it["ratio"]), y, number, "%s %s" % (name, said(it)))]


def ratios(judged, what="seconds"):
    """A block of lanes for each row: ratios to the base, with intervals."""
    of, names = numbers(judged.names), [name for name in judged.names if name != judged.base]
    found = {(row["name"], name): judged.ratio(row["name"], name, key=what)
             for row in judged.rows for name in names}
    ends = [end for it in found.values() if it for end in (it["ratio"], it["low"], it["high"]) if end]
    if not ends:
        return ""
    scale, height = svg.around(ends), LANE * len(names) + 8
    lines = [("", axis(scale))]
    for row in judged.rows:
        parts = grid(scale, height) + [svg.line(scale.at(1), 0, scale.at(1), height,
                                                "base k%d" % (of[judged.base] % svg.COLOURS))]
        for n, name in enumerate(names):
            it = found[row["name"], name]
            parts += ratio_lane(scale, it, LANE * n + 10, name, of[name]) if it else []
        lines.append((row["name"], svg.picture(height, parts, row["name"])))
    return key(names, of) + lanes(lines + [("", axis(scale))], "rows")


def means(judged):
    """{name: (time, peak memory)} in the mean of rows, as estimates."""
    one = {"ratio": 1.0, "low": None, "high": None}
    both = {name: (one, one) if name == judged.base
            else (judged.mean(name), judged.mean(name, key="peak_kib")) for name in judged.names}
    return {name: it for name, it in both.items() if all(it) and judged.complete}


def stairs(front, across, down):
    """The border beyond which nobody came, from the least time to the least memory."""
    steps = sorted((time["ratio"], peak["ratio"]) for time, peak in front)
    ys = ["%.2f%%" % down(peak) for _, peak in steps]
    parts = [svg.line(across.at(steps[0][0]), 0, across.at(steps[0][0]), ys[0], "front")]
    for (time, _), (later, _), y, below in zip(steps, steps[1:], ys, ys[1:]):
        parts += [svg.line(across.at(time), y, across.at(later), y, "front"),
                  svg.line(across.at(later), y, across.at(later), below, "front")]
    return parts + [svg.line(across.at(steps[-1][0]), ys[-1], 100, ys[-1], "front")]


def cross(across, down, time, peak, name, number, under):
    x, y, kind = across.at(time["ratio"]), "%.2f%%" % down(peak["ratio"]), "bar k%d" % (number % svg.COLOURS)
    parts = [svg.line(across.at(time["low"]), y, across.at(time["high"]), y, kind)] if time["low"] else []
    if peak["low"]:
        parts.append(svg.line(x, "%.2f%%" % down(peak["low"]), x, "%.2f%%" % down(peak["high"]), kind))
    left = x > 70
    label = "<svg x=%.2f%% y=%s overflow=visible><text x=%d y=%d text-anchor=%s>%s</text></svg>" % (
        x, y, -7 if left else 7, 14 if under else -5, "end" if left else "start", html.escape(name))
    return parts + [svg.mark(x, y, number, "%s: time %s, memory %s" % (name, said(time), said(peak))), label]


def pareto(judged):
    """Time and memory in the mean of rows: who lies on the border is beaten by nobody in both."""
    points, of = means(judged), numbers(judged.names)
    if not points:
        return ""
    across, upwards = [svg.around([end for it in points.values()
                                   for end in (it[n]["ratio"], it[n]["low"], it[n]["high"]) if end])
                       for n in (0, 1)]
    down = lambda value: 100 - upwards.at(value)
    parts = [svg.line(across.at(tick), 0, across.at(tick), "100%", "grid") for tick in across.ticks()]
    parts += [svg.line(0, "%.2f%%" % down(tick), 100, "%.2f%%" % down(tick), "grid")
              for tick in upwards.ticks()]
    parts += stairs([points[name] for name in judged.front() if name in points], across, down)
    places = []
    for name, (time, peak) in sorted(points.items(), key=lambda it: -it[1][1]["ratio"]):
        place = across.at(time["ratio"]), down(peak["ratio"])
        # Another's name would lie on this one's.
        under = any(abs(place[0] - x) < 30 and place[1] - y < 8 for x, y in places)
        parts += cross(across, down, time, peak, name, of[name], under)
        places.append(place)
    side = svg.picture(300, ["<text x=100%% y=%.2f%% text-anchor=end dy=4>%g</text>" % (down(tick), tick)
                             for tick in upwards.ticks()])
    return "<div class=plane>%s%s<span></span>%s</div>" % (
        side, svg.picture(300, parts, "time and memory"), axis(across))


def thinned(curve):
    """The highest of each stretch, so that peaks stay."""
    step = -(-len(curve) // CURVE_MAX)
    return [max(curve[at:at + step], key=lambda point: point[1]) for at in range(0, len(curve), step)]


def panel(row, curves, of):
    """A lane of resident memory for each allocator, all on the same scales."""
    seconds = svg.Scale(0, max(curve[-1][0] for curve in curves.values()), margin=0)
    most = max(point[1] for curve in curves.values() for point in curve) or 1
    lines = []
    for name, curve in curves.items():
        points = [(seconds.at(point[0]), 100 - 96 * point[1] / most) for point in thinned(curve)]
        peak = "<span>%.1f MiB</span>" % (max(it[1] for it in curve) / (1 << 20))
        lines.append((name, svg.picture(30, [svg.area(points, of[name])], row + " on " + name) + peak))
    under = svg.picture(16, [svg.text(0, 12, "0", "start"),
                             svg.text(100, 12, "%.2g s" % seconds.high, "end")])
    return "<div class=panel><h3>%s</h3>%s</div>" % (html.escape(row), lanes(lines + [("", under)]))


def curves(judged):
    """Memory over time, of rows that took long enough."""
    of, found = numbers(judged.names), []
    for row in judged.rows:
        cells = judged.results["results"][row["name"]]
        mine = {name: cells[name].get("watched", {}).get("curve", []) for name in judged.names}
        if any(len(curve) >= CURVE_MIN for curve in mine.values()):
            found.append(panel(row["name"],
                               {name: curve for name, curve in mine.items() if len(curve) > 1}, of))
    return "<div class=panels>%s</div>" % "".join(found) if found else ""


def latency(judged):
    """From the median to the longest of each allocator's single operations."""
    of, known = numbers(judged.names), judged.results.get("latency", {})
    every = [value for by in known.values() for values in by.values() for value in values if value > 0]
    if not every:
        return ""
    scale, lines = svg.Scale(min(every) / 1.2, max(every) * 1.2, log=True), []
    for operation in ("malloc", "free"):
        lines.append((operation, axis(scale, duration)))
        for name, by in known.items():
            values, parts = by.get(operation, []), grid(scale, 16)
            if values and name in of:
                parts.append(svg.line(scale.at(values[0]), 8, scale.at(values[-1]), 8,
                                      "bar k%d" % (of[name] % svg.COLOURS)))
                parts += [svg.mark(scale.at(value), 8, of[name],
                                   "%s: %s of %s: %g ns" % (name, share, operation, value))
                          for share, value in zip(PERCENTILES, values)]
            lines.append((name, svg.picture(16, parts, "%s on %s" % (operation, name))))
    return lanes(lines)


def growth_chart(name, it, of):
    """Cost against size or threads, both to the first point and on logarithmic scales:
    level is what it should be."""
    lines = {library: report.relative(costs) for library, costs in it["costs"].items()
             if costs and library in of}
    if not lines:
        return ""
    points = [point / it["points"][0] for point in it["points"]]
    across, upwards = (svg.Scale(1, points[-1], log=True),
                       svg.around([value for values in lines.values() for value in values]))
    down = lambda value: "%.2f%%" % (100 - upwards.at(value))
    parts = [svg.line(across.at(point), 0, across.at(point), "100%", "grid") for point in points]
    parts += [svg.line(0, down(tick), 100, down(tick), "grid") for tick in upwards.ticks()]
    for library, values in lines.items():
        at = [(across.at(point), down(value)) for point, value in zip(points, values)]
        parts += [svg.line(*here, *there, "bar k%d" % (of[library] % svg.COLOURS))
                  for here, there in zip(at, at[1:])]
        parts += [svg.mark(*place, of[library], "%s ×%g: %.2f" % (library, point, value))
                  for place, point, value in zip(at, points, values)]
    side = svg.picture(160, ["<text x=100%% y=%s text-anchor=end dy=4>%g</text>" % (down(tick), tick)
                             for tick in upwards.ticks()])
    under = svg.picture(16, [svg.text(across.at(point), 12, "×%g" % point) for point in points])
    return "<div class=panel><h3>%s</h3><div class=plane>%s%s<span></span>%s</div></div>" % (
        html.escape(name), side, svg.picture(160, parts, "growth of " + name), under)


def growth(judged):
    of = numbers(judged.names)
    found = "".join(growth_chart(name, it, of) for name, it in judged.results.get("growth", {}).items())
    return key(judged.names, of) + "<div class=panels>%s</div>" % found if found else ""


def all_plots(judged):
    """(title, what is to be seen, the plot), of those for which there are figures."""
    to = "ratio to %s, the line at 1; left is better; bars: 95 %% intervals" % judged.base
    yield "Time", "Elapsed time, " + to, ratios(judged)
    yield "Peak resident memory", "Peak resident memory, " + to, ratios(judged, "peak_kib")
    yield ("Time against memory",
           "Means of rows, ratio to %s: time to the right, peak resident memory upwards, bars: 95 %% "
           "intervals. Left of and below the dashed border nobody came; who does not touch it is beaten by "
           "somebody in both." % judged.base, pareto(judged))
    yield ("Memory over time",
           "Resident memory of all processes of the watched run; the lanes of a row have the same scales, "
           "with the peak at the right.", curves(judged))
    yield ("Growth",
           "CPU time of an operation against the size of the live heap or the number of threads, to the "
           "first point: level is good.", growth(judged))
    yield ("Single operations",
           "Marks from left to right: %s (bench/workloads/latency.c)." % ", ".join(PERCENTILES),
           latency(judged))
