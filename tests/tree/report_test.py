# SPDX-License-Identifier: MIT
"""The report of tools/compare, of made-up results: what its first sentences say, that the page says
the same, shows every allocator and holds its own results, and that none of it needs anything that
older results did not have."""
import base64
import hashlib
import html
import html.parser
import json
import os
import random
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, sys.argv[1] + "/tools/lib")
sys.dont_write_bytecode = True

import estimates
import growth
import judgement
import markdown
import page
import rows
import runs
import summary
import svg

COMPARE = sys.argv[1] + "/tools/compare"
failed = 0


def check(name, holds, said=""):
    global failed
    failed += not holds
    print("ok " + name if holds else "failed: %s: %s" % (name, said))


def run(seconds, peak_kib):
    return {"seconds": seconds, "cpu_seconds": seconds, "system_seconds": 0.0, "peak_kib": peak_kib,
            "faults": 100, "output": ""}


def made_up(truth, rounds=16, base="jemalloc", noise=0.02):
    """Results of rows and allocators whose times are given: {row: {allocator: (seconds, peak KiB)}}."""
    generator = random.Random(1)
    names = list(next(iter(truth.values())))
    results = {row: {name: {"runs": [run(seconds * (1 + generator.expovariate(1 / noise)), peak)
                                     for _ in range(rounds)],
                            "watched": {"served": True, "curve": [[0.0, 1000], [0.1, 2000]]},
                            "mib_seconds": 1.0}
                     for name, (seconds, peak) in cells.items()} for row, cells in truth.items()}
    facts = {"date": "2026-01-02 03:04 UTC", "processor": "2 × Some <CPU>", "memory": "8 GiB",
             "virtual": "yes", "kernel": "6.1", "commit": "abcdef1",
             "allocators": {name: {"path": name + ".so", "sha256": name, "version": "1.0"} for name in names}}
    return {"facts": facts, "base": base, "rounds": rounds, "missing": [], "command": "tools/compare",
            "allocators": names,
            "rows": [{"name": row, "kind": "workload", "weight": 1, "command": ["x"]} for row in truth],
            "results": results, "latency": {}, "idle": {}}


def three(fallow, **more):
    return {"row%d" % n: {"system": (1.2, 900), "jemalloc": (1.0, 1000),
                          "fallow": (seconds, more.get("peak", 800))}
            for n, seconds in enumerate(fallow)}


def said(results):
    return summary.sentences(judgement.Judgement(results))


def test_sentences():
    ran, won, lost = said(made_up(three([0.5, 0.6, 0.7, 1.4])))
    check("report_says_what_ran_where_and_when",
          all(it in ran for it in ("4 rows in 16 rounds", "jemalloc (1.0)", "Some <CPU>", "2026-01-02",
                                   "abcdef1")), ran)
    check("report_names_the_winner", won.startswith("fallow won: fallow took 0.7") and
          "time of jemalloc" in won and "to jemalloc faster on 3, slower on 1" in won, won)
    check("report_names_what_was_lost", lost.startswith("fallow lost: time of row3 to jemalloc: 1.4") and
          "row3 to system: 1.1" in lost, lost)
    ran, won, lost = said(made_up(three([1.5, 1.6], peak=2000)))
    check("report_names_another_winner", won.startswith("jemalloc won: jemalloc took 0.8"), won)
    check("report_names_lost_memory", "peak memory of row0 to system: 2.22" in lost and
          "peak memory in the mean of rows, 2.22" in lost, lost)
    ran, won, lost = said(made_up(three([1.0, 1.01], peak=900), noise=0.3))
    check("report_leaves_undecided_what_is",
          won.startswith("Nobody won for certain") and "undecided" in lost, won + lost)
    ran, won, lost = said(made_up(three([0.5, 0.5]), base="fallow"))
    check("report_turns_verdicts_for_the_base",
          "to jemalloc faster on 2" in won and lost == "Nothing is known to be lost.", won + lost)
    check("report_compares_each_two_once",
          judgement.Judgement(made_up(three([0.5, 0.5]), base="fallow")).comparisons == 4)
    lost = said(made_up(three([1.5]), base="fallow"))[2]
    check("report_turns_losses_for_the_base",
          lost.startswith("fallow lost: time of row0 to jemalloc: 1.5"), lost)
    lost = said(made_up(three([1.5, 1.6]), base="fallow"))[2]
    check("report_turns_lost_means_for_the_base",
          lost.startswith("fallow lost: time in the mean of rows, 1.3") and "of jemalloc's" in lost, lost)
    text = markdown.markdown(judgement.Judgement(made_up(three([1.5]))))
    check("report_of_one_row_has_no_means",
          "in the mean of rows" not in text and "geometric" not in text, text)


def itself(noise, rounds=16):
    results = made_up({"row%d" % n: {"fallow": (1.0, 100), "copy": (1.0, 100)} for n in range(6)},
                      base="fallow", noise=noise, rounds=rounds)
    for about in results["facts"]["allocators"].values():
        about["sha256"] = "the same"
    return results


def test_itself():
    ran, second, third = said(itself(0.01))
    check("report_of_itself_says_so", "against itself (A/A)" in second and
          "of 6 comparisons, none is called different" in second and "6 equal within 5 %" in second, second)
    check("report_of_itself_says_what_is_hidden",
          "Nothing can be lost to oneself" in third and "in the median" in third, third)
    text = markdown.markdown(judgement.Judgement(itself(0.01)))
    check("report_of_itself_has_no_winner", "won" not in text and "slower than a peer" not in text, text)
    results = itself(0.01)
    for cell in (results["results"]["row0"]["copy"], results["results"]["row1"]["copy"]):
        cell["runs"] = [run(it["seconds"] * 2, 100) for it in cell["runs"]]
    check("report_of_itself_owns_up",
          "2 called different, which is false" in said(results)[1], said(results)[1])
    check("report_of_itself_in_few_rounds", "not known from so few rounds" in said(itself(0.01, rounds=3))[2])
    results["facts"]["allocators"]["copy"]["options"] = "A=B"
    check("report_of_two_configurations_is_none_of_itself", "A/A" not in said(results)[1], said(results)[1])
    results = made_up(three([0.5]))
    results["facts"]["allocators"]["fallow"]["sha256"] = "jemalloc"
    check("report_warns_of_the_same_twice",
          any("jemalloc and fallow are the same" in it
              for it in summary.warnings(judgement.Judgement(results))))


def test_few_rounds():
    results = made_up(three([0.1, 0.1]), rounds=3)
    text = markdown.markdown(judgement.Judgement(results))
    check("report_of_three_rounds_claims_nothing", "3 rounds bear no claim" in text and
          "(--rounds 12)" in text and " − " not in text.split("| row ")[1], text)
    check("report_of_three_rounds_has_no_intervals", "[" not in text.replace("[x]", ""), text)


def test_failures():
    results = made_up(three([0.5, 0.6]))
    results["results"]["row0"]["fallow"] = {"runs": [], "error": "ended by signal 11: <oops>"}
    results["results"]["row1"]["jemalloc"]["watched"]["served"] = False
    results["missing"] = ["ruby"]
    judged = judgement.Judgement(results)
    text, warned = markdown.markdown(judged), " ".join(summary.warnings(judged))
    check("report_counts_a_failure_as_lost",
          "to its end did not come row0 (ended by signal 11: <oops>)" in said(results)[2], said(results)[2])
    check("report_warns_first", all(it in warned for it in ("row0 on fallow", "row1 on jemalloc", "ruby")) and
          text.index("ruby") < text.index("geometric"), warned)
    results["results"]["row1"]["system"] = {"runs": [], "error": "gone"}
    check("report_of_failures_alone", "Nobody won: no row" in markdown.markdown(judgement.Judgement(results)))
    only = made_up({"row": {"fallow": (1.0, 100)}}, base="fallow")
    check("report_of_one_alone", "nobody to compare with" in markdown.markdown(judgement.Judgement(only)))


def test_disturbed():
    results = made_up(three([0.5, 0.6]))
    check("report_without_noise_recorded",
          "processors" not in markdown.markdown(judgement.Judgement(results)))
    for cells in results["results"].values():
        for cell in cells.values():
            for it in cell["runs"]:
                it["noise"] = {"seconds": 0.5, "steal": 0.0, "others": 0.25, "waiting": None, "load": 1.5}
    results.update(disturbed={"sets": 32, "repeated": 3, "tries": 5, "kept": 1, "tries_max": 9}, seed=7)
    text = markdown.markdown(judgement.Judgement(results))
    check("report_says_how_many_were_repeated",
          "32 sets (a row on all allocators in a round) repeated 3, counted although disturbed 1" in text,
          text)
    check("report_says_what_others_took", "other processes: 0.50 in the median" in text and
          "load average: 1.50" in text and "PSI" not in text, text)


def test_counters():
    results = made_up(three([0.5, 0.6]))
    check("report_without_counters", "M cycles" not in markdown.markdown(judgement.Judgement(results)))
    for cells in results["results"].values():
        for name, cell in cells.items():
            cell["callgrind"] = None if name == "system" else 3000000 if name == "fallow" else 4000000
            for n, it in enumerate(cell["runs"]):
                it["cycles"] = int(it["seconds"] * 1e9)
                if name != "fallow" or n:  # one was not counted
                    it["tlb_misses"] = 5000000
    results["counted"] = ["counters, by perf: cycles, dTLB-load-misses"]
    text = markdown.markdown(judgement.Judgement(results))
    lines = {line.split(" | ")[0].strip("| "): line for line in text.splitlines() if line.startswith("| ")}
    check("report_of_counters_has_means", "| 0.551 [" in lines["mean ratio, cycles"] and
          lines["mean ratio, TLB misses"].rstrip(" |").endswith("–"), text)
    check("report_of_counters_has_rows", " / 5 " in text.split("M cycles / M TLB misses")[1], text)
    check("report_of_instructions", "3.000 M (0.750)" in text and "counters, by perf" in text, text)


def test_sets():
    results = made_up(three([0.5, 0.6, 1.4]))
    check("report_of_older_results_has_no_sets",
          "set 1" not in markdown.markdown(judgement.Judgement(results)))
    for row, set_ in zip(results["rows"], (1, 1, 2)):
        row["set"] = set_
    text = markdown.markdown(judgement.Judgement(results))
    means = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| time, ")}
    check("report_has_a_mean_of_each_set",
          list(means) == ["time, all (3)", "time, set 1 (2)", "time, set 2 (1)"] and
          "0.55" in means["time, set 1 (2)"] and "1.40" in means["time, set 2 (1)"] and
          "0.75" in means["time, all (3)"], means)


def test_own_figures():
    text = b"figure private_mib 3.5\noperations 1 seconds 2\n"
    check("run_reads_figures_of_its_own",
          runs.own_figures(text) == {"private_mib": 3.5} and runs.own_figures(b"operations 1\n") == {})
    results = made_up(three([0.5]))
    check("report_without_own_figures",
          "figure of a row" not in markdown.markdown(judgement.Judgement(results)))
    for name in ("jemalloc", "fallow"):
        for it in results["results"]["row0"][name]["runs"]:
            it["own"] = {"private_mib": 4.25}
    line = next(it for it in markdown.markdown(judgement.Judgement(results)).splitlines()
                if it.startswith("| row0: private mib"))
    check("report_shows_own_figures",
          [it.strip() for it in line.split("|")[2:5]] == ["–", "4.25", "4.25"], line)


def test_beside():
    results = made_up(three([0.5]))
    values = {"malloc": [10, 20, 30, 40, 50], "free": [1, 2, 3, 4, 5]}
    results["beside"] = {"alone": {"jemalloc": values, "fallow": values},
                         "arenas": {"jemalloc": {}, "fallow": values}}
    results["idle"] = {"fallow": {"floor": "1.0", "now": "9.0", "1s": "2.0", "2s": "1.5"}}
    text = markdown.markdown(judgement.Judgement(results))
    lines = {line.split("|")[1].strip(): [it.strip() for it in line.split("|")[2:-1]]
             for line in text.splitlines() if line.startswith("| ")}
    check("report_of_latency_beside", lines["jemalloc, malloc"] == ["20 / 30 / 50", "–"] and
          lines["fallow, free"] == ["2 / 3 / 5"] * 2, lines)
    check("report_of_idle_by_second",
          lines["MiB resident after a burst"] == ["floor", "now", "1s", "2s"], lines)


def test_growth():
    slope = estimates.slope([1, 4, 16],
                            [[2 * round_, 4 * round_, 8 * round_] for round_ in (1, 2, 3, 4, 5, 6)])
    check("slope_is_the_exponent",
          all(abs(slope[key] - 0.5) < 1e-9 for key in ("slope", "low", "high")), slope)
    few = estimates.slope([1, 4], [[3, 3]] * 3)
    check("slope_of_few_rounds_has_no_interval", few == {"slope": 0, "low": None, "high": None}, few)
    cells = [{"runs": [{"own": {"cpu_ns": cost}} for cost in costs]} for costs in ((1.0, 2.0), (3.0, 4.0))]
    check("growth_is_by_round", growth.costs(cells) == [[1.0, 3.0], [2.0, 4.0]] and
          growth.costs([cells[0], {**cells[1], "error": "gone"}]) == [])
    results = made_up(three([0.5]))
    results["growth"] = {"size": {"command": "x", "points": [16, 64, 256],
                                  "costs": {"system": [[10, 20, 40]] * 6, "fallow": [[10, 10, 10]] * 6,
                                            "jemalloc": []}}}
    judged = judgement.Judgement(results)
    text, drawn = markdown.markdown(judged), page.page(judged)
    lines = {line.split("|")[1].strip(): [it.strip() for it in line.split("|")[2:-1]]
             for line in text.splitlines() if line.startswith("| size")}
    check("report_of_growth",
          lines["size, system"] == ["10.0", "×4 2.00, ×16 4.00", "0.50 [0.50, 0.50]"] and
          lines["size, jemalloc"][0] == "failed" and lines["size, fallow"][2] == "0.00 [0.00, 0.00]", lines)
    read = Reader(drawn)
    check("page_draws_growth", "growth of size" in drawn and "system ×16: 4.00" in drawn and
          not read.wrong and not read.open, read.wrong)


def test_rows():
    lines, growths = rows.lines("rows"), rows.growth("build")
    first = lines[:lines.index("set 2")]
    check("rows_of_set_1_are_frozen",
          hashlib.sha256("\n".join(first).encode()).hexdigest().startswith("276a8c7da8406120"), len(first))
    check("growth_has_its_points", growths["threads-own"][1][64].name == "threads-own 64" and
          "threads=64" in growths["threads-own"][1][64].command)


class Reader(html.parser.HTMLParser):
    """Which elements are open; what ends without having begun."""

    def __init__(self, text):
        super().__init__()
        self.open, self.wrong, self.seen = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        self.open += [tag] * (tag not in ("html", "meta", "li"))

    def handle_startendtag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        self.wrong += [] if self.open and self.open[-1] == tag else [tag]
        self.open = self.open[:-1]


def test_page():
    results = made_up(three([0.5, 0.6, 1.4]))
    for cells in results["results"].values():
        for cell in cells.values():
            cell["watched"]["curve"] = [[n / 50, 1000 * n] for n in range(1000)]
    results["latency"] = {name: {"malloc": [20, 30, 40, 50, 9000]} for name in results["allocators"]}
    judged = judgement.Judgement(results)
    text = page.page(judged)
    first = [text.find(html.escape(it)) for it in summary.sentences(judged)]
    check("page_begins_with_the_sentences", -1 < first[0] < first[1] < first[2] < text.index("<table"), first)
    check("page_escapes", "Some <CPU>" not in text)
    read = Reader(text)
    check("page_is_well_formed", not read.wrong and not read.open, (read.wrong, read.open))
    asked = [value for _, attributes in read.seen for name, value in attributes.items()
             if name in ("src", "href") and not value.startswith(("#", "data:"))]
    check("page_asks_nobody",
          not asked and "url(" not in text and not any(tag == "script" for tag, _ in read.seen), asked)
    places = [float(it) for it in re.findall(r" [xy][12]?=([-0-9.a-z]+)%", text)]
    check("page_plots_stay_inside", len(places) > 100 and all(0 <= it <= 100 for it in places), places)
    saved = next(attributes["href"] for tag, attributes in read.seen if attributes.get("download"))
    check("page_holds_its_results", json.loads(base64.b64decode(saved.split(",", 1)[1])) == results)
    return text


def test_plots(text):
    titles = re.findall("<h2>([^<]*)</h2>(?=<p>[^<]*</p><[pd]|<p>[^<]*</p><div)", text)
    check("page_has_its_plots", titles[:5] == ["Time", "Peak resident memory", "Time against memory",
                                               "Memory over time", "Single operations"], titles)
    check("page_has_lanes_for_each",
          text.count("<polygon") == 9 and
          all(text.count("aria-label='row%d on %s'" % (n, name)) == 1
              for n in range(3) for name in ("system", "jemalloc", "fallow")))
    check("page_has_peaks_beside_the_lanes", len(re.findall("</svg><span>[0-9.]+ MiB</span>", text)) == 9)
    close = {"row%d" % n: {"system": (1.01, 1000), "jemalloc": (1.0, 1000), "fallow": (0.5, 500)}
             for n in range(2)}
    names = re.findall("<text x=-?7 y=(-5|14) [^>]*>([a-z]+)<",
                       page.page(judgement.Judgement(made_up(close))))
    check("page_keeps_close_names_apart", sorted(y for y, _ in names) == ["-5", "-5", "14"], names)
    check("page_thins_curves",
          max(len(it.split()) for it in re.findall("polygon points='([^']*)'", text)) <= 242)
    check("page_borders_who_is_beaten_by_nobody",
          judgement.Judgement(made_up(three([0.5, 0.6]))).front() == ["fallow"])
    both = judgement.Judgement(made_up(three([0.5, 0.6], peak=2000))).front()
    check("page_borders_all_who_are", set(both) == {"system", "jemalloc", "fallow"}, both)
    bare = made_up(three([0.5]), rounds=1)
    for cells in bare["results"].values():
        for cell in cells.values():
            cell.update(error="gone", runs=[], watched={"served": True, "curve": []})
    check("page_of_failures_has_no_plots", "<polygon" not in page.page(judgement.Judgement(bare)))
    for low, high, log in ((0.98, 1.02, True), (0.2, 30, True), (1e-3, 1e6, True),
                           (0, 7, False), (5, 5, False)):
        ticks = svg.Scale(low, high, log).ticks()
        check("page_numbers_its_axes", 1 < len(ticks) <= 6 or low == high, (low, high, ticks))


def again(folder, text):
    path = os.path.join(folder, "results.json")
    with open(path, "w") as file:
        file.write(text)
    return subprocess.run([COMPARE, "--report", path], text=True, capture_output=True)


def test_again():
    with tempfile.TemporaryDirectory() as folder:
        results = made_up(three([0.5, 0.6]))
        for key in ("missing", "idle", "latency"):  # which older results may lack
            del results[key]
        it = again(folder, json.dumps(results))
        check("report_again_of_stored_results", it.returncode == 0 and "fallow won" in it.stdout and
              {"report.md", "report.html"} <= set(os.listdir(folder)), it.stdout + it.stderr)
        for text in ("{", "[]", "{}", '{"results": {}, "rows": []}'):
            it = again(folder, text)
            check("report_again_of_something_else", it.returncode == 1 and
                  it.stderr.startswith("compare: ") and it.stderr.count("\n") == 1, it.stderr)


test_sentences()
test_itself()
test_few_rounds()
test_failures()
test_disturbed()
test_counters()
test_sets()
test_own_figures()
test_beside()
test_growth()
test_rows()
test_plots(test_page())
test_again()
sys.exit(1 if failed else 0)
