# SPDX-License-Identifier: MIT
"""A report as one HTML file: no network, no script, light and dark, narrow and wide, on paper. What it says
is report.py's and judgement.py's; the results that it was made of can be saved from it.

This file must never say what the text does not.
"""
import base64
import html
import json

import plots
import report
import summary
import svg

LIGHT = ("--ink: #222; --ground: #fff; --grid: #0002; --k0: #0b6e4f; --k1: #c1440e; --k2: #3b5b92; "
         "--k3: #8a6d00; --k4: #7a3e8e; --k5: #555; --k6: #b5176f; --k7: #0081a8;")
DARK = ("--ink: #ddd; --ground: #16181b; --grid: #fff2; --k0: #4fd1a5; --k1: #ff9166; --k2: #8fb4ff; "
        "--k3: #e8c547; --k4: #d39ae6; --k5: #bbb; --k6: #ff7ac0; --k7: #5fd4f4;")
STYLE = """
:root { color-scheme: light dark; LIGHT }
@media screen and (prefers-color-scheme: dark) { :root { DARK } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 84rem; padding: 0 1rem; \
color: var(--ink); background: var(--ground); }
p, li { max-width: 48rem; overflow-wrap: anywhere; } \
pre, table { font: 12.5px/1.45 ui-monospace, monospace; } \
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
table { border-collapse: collapse; display: block; overflow-x: auto; } \
td, th { padding: 2px 10px; text-align: right; border-bottom: 1px solid var(--grid); white-space: nowrap; }
td:first-child, th:first-child { text-align: left; position: sticky; left: 0; background: var(--ground); \
padding-left: 0; }
.first { font-size: 1.05rem; } .warned { border-left: 4px solid var(--k1); padding-left: 1.6rem; }
svg { overflow: visible; } svg text { font: 11px system-ui, sans-serif; fill: var(--ink); } \
h2 { font-size: 1.3rem; } h3 { font-size: 13px; margin: 0.3rem 0; }
.lanes > div { display: grid; grid-template-columns: 8.5rem minmax(0, 1fr); align-items: center; \
break-inside: avoid; } .lanes span { font-size: 12px; }
.rows > div { border-bottom: 1px solid var(--grid); } \
.panel .lanes > div { grid-template-columns: 8.5rem minmax(0, 1fr) 4.6rem; }
.lanes span:last-child { text-align: right; white-space: nowrap; } .many { columns: 20rem; } \
.many li { break-inside: avoid; }
.lanes svg, .plane svg { display: block; } .key span { white-space: nowrap; margin-right: 1rem; \
font-size: 13px; }
.plane { display: grid; grid-template-columns: 2.5rem minmax(0, 1fr); max-width: 48rem; column-gap: 4px; \
break-inside: avoid; }
.plane text { paint-order: stroke; stroke: var(--ground); stroke-width: 3px; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)); \
gap: 1rem 2rem; } .panel { break-inside: avoid; min-width: 0; }
.grid { stroke: var(--grid); } .bar { stroke-width: 2; opacity: 0.55; } .base { stroke-width: 1.5; } \
.front { stroke: var(--ink); stroke-dasharray: 4 3; }
KINDS polygon { fill-opacity: 0.25; vector-effect: non-scaling-stroke; stroke-width: 1.2; }
@media (max-width: 40rem) { .lanes > div { grid-template-columns: 6.5rem minmax(0, 1fr); } \
.lanes span { font-size: 11px; overflow-wrap: anywhere; }
  .panel .lanes > div { grid-template-columns: 6.5rem minmax(0, 1fr) 4rem; }
  td, th { padding: 2px 5px; } td:first-child, th:first-child { white-space: normal; min-width: 7.6rem; } }
@media print { body { margin: 0; padding: 0; max-width: none; font-size: 10pt; } \
h2, h3, h2 + p, .key, .lanes > div:first-child { break-after: avoid; } tr { break-inside: avoid; }
  .save { display: none; } .panels { grid-template-columns: 1fr 1fr; } \
.panel .lanes > div { grid-template-columns: 6.5rem minmax(0, 1fr) 4rem; }
  table { font-size: 7pt; display: table; } \
td, th { white-space: normal; padding: 1px 4px; position: static; } svg { print-color-adjust: exact; } }
""".replace("LIGHT", LIGHT).replace("DARK", DARK).replace("KINDS", " ".join(
    ".k%d { stroke: var(--k%d); fill: var(--k%d); }" % (n, n, n) for n in range(svg.COLOURS)))


def table(text):
    if not text:
        return ""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()
            if not line.startswith("|-")]
    lines = ["<tr>" + "".join("<%s>%s</%s>" % (tag, html.escape(cell), tag) for cell in row) + "</tr>"
             for tag, row in zip(["th"] + ["td"] * len(rows), rows)]
    return "<table><thead>%s</thead><tbody>%s</tbody></table>" % (lines[0], "".join(lines[1:]))


def paragraph(text):
    return "<p>%s</p>" % html.escape(text)


def listing(title, lines):
    return "<h2>%s</h2><ul class=many>%s</ul>" % (
        html.escape(title), "".join("<li>" + html.escape(it) for it in lines) or "<li>none")


def pictures(judged):
    yield svg.defined_marks()
    for title, words, plot in plots.all_plots(judged):
        if plot:
            yield "<h2>%s</h2>%s%s" % (html.escape(title), paragraph(words), plot)


def raw(results):
    """The results, in a link that saves them: tools/compare --report makes this page again from that file."""
    text = base64.b64encode(json.dumps(results, separators=(",", ":")).encode()).decode()
    return ("<div class=save><h2>Raw data</h2><p><a download=results.json "
            "href='data:application/json;base64,%s'>results.json</a>: every run, to be saved; "
            "<code>tools/compare --report results.json</code> makes this report again from it."
            "</p></div>") % text


def page(judged):
    parts = ["<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
             "content='width=device-width'><title>fallow compared</title><style>", STYLE,
             "</style><h1>fallow compared</h1>"] + [
        "<p class=first>%s</p>" % html.escape(it) for it in summary.sentences(judged)]
    warned = summary.warnings(judged)
    parts += ["<ul class=warned>%s</ul>" % "".join("<li>" + html.escape(it) for it in warned)] * bool(warned)
    parts += [table(report.summary_table(judged)), paragraph(report.best_line(judged)),
              table(report.verdict_table(judged))]
    parts += pictures(judged)
    parts += ["<h2>Every row</h2>", paragraph(report.legend(judged)), table(report.time_table(judged)),
              paragraph(report.MEMORY_LEGEND + ":"), table(report.memory_table(judged))]
    for title, text in report.more_tables(judged):
        parts += ["<h2>%s</h2>" % html.escape(title), table(text)]
    parts += [listing(title, lines) for title, lines in report.lists(judged)]
    parts += [raw(judged.results), "<h2>Where this comes from</h2><pre>%s</pre>" % html.escape(
        "\n".join(report.fact_lines(judged.results)))]
    return "".join(parts)
