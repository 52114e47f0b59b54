# SPDX-License-Identifier: MIT
"""The first three sentences of a report, and its warnings: what ran, where and when; who won, by how much,
how sure; what was lost. For readers who read nothing else, so each has to be true by itself.

This file must never leave out a loss that is certain, and never name a winner that judgement.py does not.
"""
import claims
import estimates
import judgement
import report

SHOWN = 4  # of a list of losses in a sentence; all of them stand below it


def enumeration(words):
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def some(items):
    """The first few, and how many more."""
    rest = len(items) - SHOWN
    return ", ".join(items[:SHOWN]) + (", and %d more" % rest if rest > 0 else "")


def number(count, noun):
    return "%d %s%s" % (count, noun, "" if count == 1 else "s")


def what_ran(judged):
    results, facts = judged.results, judged.results["facts"]
    versions = {name: facts["allocators"].get(name, {}).get("version", "") for name in judged.names}
    who = enumeration(["%s (%s)" % (name, versions[name]) if versions[name] else name
                       for name in judged.names])
    where = ", ".join([facts["processor"], facts["memory"]] +
                      ["a virtual machine"] * (facts.get("virtual") == "yes") + ["Linux " + facts["kernel"]])
    return "%s in %s on %s, of commit %s; on %s; %s." % (
        number(len(judged.rows), "row"), number(results["rounds"], "round"), who, facts["commit"], where,
        facts["date"])


def percent(judged):
    return "equal within %g %%" % (judged.within * 100)


def by_rows(judged):
    """What the single rows say of ours, or of the base where ours is not there."""
    ours, words = (judgement.OURS if judgement.OURS in judged.names else judged.base,
                   {claims.EQUAL: percent(judged)})
    parts = []
    for peer in judged.names:
        if peer != ours:
            counts = judged.counts(ours, peer)
            parts.append("to %s %s" % (
                peer, ", ".join("%s on %d" % (words.get(it, it), count)
                                for it, count in counts.items() if count) or "nothing"))
    return "%s row by row: %s" % (ours, "; ".join(parts))


def who_won(judged):
    rounds, enough = judged.results["rounds"], max(2 * claims.rounds_needed(1), judged.needed)
    won = judged.winner()
    if won is None:
        return "Nobody won: " + ("there is nobody to compare with." if len(judged.names) < 2
                                 else "no row came to its end on all of them.")
    first, second, it, said = won
    if rounds < 2 * claims.rounds_needed(1):
        return ("Nobody can be said to have won: %s bear no claim; it takes %d, where the fastest is chosen "
                "in half of them and compared in the other half (--rounds %d).") % (
                    number(rounds, "round"), enough, enough)
    how = ("%s took %s of the time of %s (the first two by the odd rounds, compared in the even ones; "
           "mean of %s, 95 %% interval)") % (
               first, report.interval(it), second, number(len(judged.complete), "row"))
    heads = {claims.FASTER: "%s won: " % first,
             claims.EQUAL: "Nobody won, the first two are %s: " % percent(judged)}
    tail = (by_rows(judged) if rounds >= judged.needed
            else "of single rows nothing can be said, that needs %d rounds" % judged.needed)
    return "%s%s; %s." % (heads.get(said, "Nobody won for certain: "), how, tail)


def losses(judged):
    """Of ours, in words."""
    found = []
    for key, label in (("seconds", "time"), ("peak_kib", "peak memory")):
        means = ["%s of %s's" % (report.interval(it), peer) for peer, it in judged.lost_means(key)]
        rows = report.lost_rows(judged, key)
        found += ["%s in the mean of rows, %s" % (label, some(means))] if means else []
        found += ["%s of %s" % (label, some(rows))] if rows else []
    failed = [line for row, cells in judged.results["results"].items()
              for line in ["%s (%s)" % (row, cells[judgement.OURS].get("error"))]
              if "error" in cells[judgement.OURS]]
    return found + (["to its end did not come " + some(failed)] if failed else [])


def what_was_lost(judged):
    if judgement.OURS not in judged.names:
        return "fallow took no part, and lost nothing."
    found = losses(judged)
    if found:
        return "fallow lost: %s." % "; ".join(found)
    open_ = sum(it == claims.UNDECIDED for it in judged.verdicts["seconds"].values())
    return "Nothing is known to be lost" + (
        ", but %d of %d comparisons in time are undecided." % (open_, len(judged.verdicts["seconds"]))
        if open_ else ".")


def what_noise_said(judged):
    """In place of who won, where everybody is the same."""
    said = list(judged.verdicts["seconds"].values())
    false = said.count(claims.FASTER) + said.count(claims.SLOWER)
    means = ["in the mean %s took %s of the time of %s (%s)" % (
        name, report.interval(judged.mean(name)), judged.base, judged.mean_verdict(name))
             for name in judged.names if name != judged.base]
    return ("The same library against itself (A/A), so that every difference is noise: of %s, %s; %d %s, "
            "%d undecided; %s.") % (
                number(len(said), "comparison"),
                "%d called different, which is false" % false if false
                else "none is called different, as it should be",
                said.count(claims.EQUAL), percent(judged), said.count(claims.UNDECIDED), enumeration(means))


def what_noise_hides(judged):
    """In place of what was lost, where everybody is the same: what could be lost unseen."""
    every = [(row["name"], judged.ratio(row["name"], name)) for row in judged.rows for name in judged.names
             if name != judged.base]
    wide = sorted(((it["high"] / it["low"]) ** 0.5 - 1, row) for row, it in every if it and it["low"])
    if not wide:
        return "Nothing can be lost to oneself; how much noise hides is not known from so few rounds."
    return ("Nothing can be lost to oneself; with so many rounds on this machine a row's interval reaches "
            "%.1f %% to each side in the median and %.1f %% at most (%s), and what is smaller stays "
            "hidden.") % (wide[len(wide) // 2][0] * 100, wide[-1][0] * 100, wide[-1][1])


def sentences(judged):
    if judged.against_itself():
        return [what_ran(judged), what_noise_said(judged), what_noise_hides(judged)]
    return [what_ran(judged), who_won(judged), what_was_lost(judged)]


def warnings(judged):
    """What a reader should know before he believes the rest."""
    results, found = judged.results, []
    if results["rounds"] < judged.needed:
        found.append(report.rounds_line(judged))
    elif results["rounds"] < estimates.INTERVAL_ROUNDS_MIN:
        found.append("Without intervals: these need %d rounds." % estimates.INTERVAL_ROUNDS_MIN)
    counts = results.get("disturbed", {})
    if counts.get("repeated") or counts.get("kept"):
        found.append("The machine was not quiet, others took a tenth of its processors or more: of %s (a row "
                     "on all allocators in a round) repeated %d, counted although "
                     "disturbed %d." % (number(counts["sets"], "set"), counts["repeated"], counts["kept"]))
    if results["facts"].get("processors") == 1:
        found.append("It could use one processor: threads took turns, and what happens where they meet is "
                     "not to be seen.")
    if not judged.against_itself():
        found += ["%s and %s are the same library with the same options: what differs between "
                  "them is noise." % pair for pair in judged.same()]
    found += ["%s ran %s." % (name, about["warning"])
              for name, about in results["facts"]["allocators"].items() if "warning" in about]
    for title, lines in (("Failed", report.failures(results)),
                         ("Not proved who served", report.unproved(results)),
                         ("Not on this machine, left out", results.get("missing", []))):
        if lines:
            found.append("%s: %s." % (title, some(lines)))
    return found
