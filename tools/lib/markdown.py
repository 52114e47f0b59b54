# SPDX-License-Identifier: MIT
"""A report as Markdown, for a terminal. What it says is summary.py's and report.py's; page.py
says the same in HTML.

This file must never say what the page does not.
"""
import report
import summary


def markdown(judged):
    parts = (["# fallow compared"] + summary.sentences(judged) +
             ["\n".join("- " + line for line in summary.warnings(judged))])
    parts += [report.summary_table(judged), report.best_line(judged), report.verdict_table(judged)]
    parts += [report.legend(judged), report.time_table(judged), report.MEMORY_LEGEND + ":",
              report.memory_table(judged)]
    for title, text in report.more_tables(judged):
        parts += [title + ":", text]
    for title, lines in report.lists(judged):
        parts.append(title + (":\n\n" + "\n".join("- " + it for it in lines) if lines else ": none"))
    parts.append("\n".join("    " + line for line in report.fact_lines(judged.results)))
    return "\n\n".join(part for part in parts if part) + "\n"
