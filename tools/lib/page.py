# SPDX-License-Identifier: MIT
"""A report as one HTML file: no network, light and dark, prints. What it says is report.py's and judgement.py's.

Without matplotlib it has no plots, and says so. This file must never say what the text does not.
"""
import html

import plots
import report
import summary

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #222; background: #fff; }
pre, table { font: 12.5px/1.45 ui-monospace, monospace; } pre { overflow-x: auto; }
table { border-collapse: collapse; display: block; overflow-x: auto; } td, th { padding: 2px 10px; text-align: right; border-bottom: 1px solid #8884; white-space: nowrap; }
td:first-child, th:first-child { text-align: left; } .dark { display: none; } svg { max-width: 100%; height: auto; }
.first { font-size: 1.05rem; } .warned { border-left: 4px solid #c1440e; padding-left: 1.6rem; }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #16181b; } .light { display: none; } .dark { display: block; } }
@media print { body { color: #000; background: #fff; max-width: none; } .light { display: block; } .dark { display: none; } }
"""


def table(text):
    if not text:
        return ""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if not line.startswith("|-")]
    out = "".join("<tr>" + "".join("<%s>%s</%s>" % (tag, html.escape(cell), tag) for cell in row) + "</tr>"
                  for tag, row in zip(["th"] + ["td"] * len(rows), rows))
    return "<table>" + out + "</table>"


def paragraph(text):
    return "<p>%s</p>" % html.escape(text)


def listing(title, lines):
    return "<h2>%s</h2><ul>%s</ul>" % (html.escape(title), "".join("<li>" + html.escape(it) for it in lines) or "<li>none")


def pictures(judged):
    height = max(2.5, 0.26 * len(judged.rows) + 1.2)
    curves = max(1, -(-len(judged.rows) // 3)) * 1.9 + 0.6
    wanted = [("Time", plots.draw_ratios, (9, height)), ("Peak resident memory", plots.draw_peaks, (9, height)),
              ("Time against memory", plots.draw_scatter, (7, 5)), ("Memory over time", plots.draw_curves, (9.5, curves))]
    if judged.results.get("latency"):
        wanted.append(("Single operations", plots.draw_latency, (9.5, 3.5)))
    for title, draw, size in wanted:
        yield "<h2>%s</h2>" % title
        for theme in ("light", "dark"):
            yield "<div class=%s>%s</div>" % (theme, plots.svg(draw, judged, theme, size))


def page(judged):
    parts = ["<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'><title>fallow compared</title><style>", STYLE,
             "</style><h1>fallow compared</h1>"] + ["<p class=first>%s</p>" % html.escape(it) for it in summary.sentences(judged)]
    warned = summary.warnings(judged)
    parts += ["<ul class=warned>%s</ul>" % "".join("<li>" + html.escape(it) for it in warned)] * bool(warned)
    parts += [table(report.summary_table(judged)), paragraph(report.best_line(judged)), table(report.verdict_table(judged))]
    parts += pictures(judged) if plots.missing() is None else [paragraph(plots.missing())]
    parts += ["<h2>Every row</h2>", paragraph(report.legend(judged)), table(report.time_table(judged)),
              paragraph(report.MEMORY_LEGEND + ":"), table(report.memory_table(judged))]
    for title, text in report.more_tables(judged):
        parts += ["<h2>%s</h2>" % html.escape(title), table(text)]
    parts += [listing(title, lines) for title, lines in report.lists(judged)]
    parts.append("<h2>Where this comes from</h2><pre>%s</pre>" % html.escape("\n".join(report.fact_lines(judged.results))))
    return "".join(parts)
