# SPDX-License-Identifier: MIT
"""The statistics of tools/compare on made-up times, of which the truth is known: noise on one side,
outliers, slow spells that outlast a run, drift. Asserts how often something false is said, and that
something true is found. Seeded."""
import math
import random
import sys

sys.path.insert(0, sys.argv[1] + "/tools/lib")
sys.dont_write_bytecode = True

import claims
import estimates
import judgement

failed = 0


def check(name, holds, said):
    global failed
    failed += not holds
    print("%s %s (%s)" % ("ok" if holds else "failed:", name, said))


def times(generator, truth, rounds):
    """{name: seconds by round} of allocators whose true times are given; each round in another order."""
    drift, slow, found = 0.0, 1.0, {name: [] for name in truth}
    for _ in range(rounds):
        for name in generator.sample(sorted(truth), len(truth)):
            drift += generator.gauss(0, 0.01)
            if generator.random() < 0.1:
                slow = generator.choice([1.0, 1.0, generator.uniform(1.1, 1.5)])
            outlier = generator.uniform(1.2, 3) if generator.random() < 0.06 else 1.0
            found[name].append(truth[name] * math.exp(drift) * slow * outlier *
                               (1 + generator.expovariate(1 / 0.03)))
    return found


def paired(generator, truth, rounds):
    found = times(generator, {"ours": truth, "theirs": 1.0}, rounds)
    return estimates.logs(found["ours"], found["theirs"])


def share(found):
    found = list(found)
    return sum(found) / len(found)


def test_same_against_itself(generator, runs=250, rows=12):
    """Many runs of rows that do not differ: hardly a row is called different, and hardly a run has any."""
    said, chances, some = [], [], 0
    for _ in range(runs):
        row_logs = {row: paired(generator, 1.0, 14) for row in range(rows)}
        verdicts = claims.judge(row_logs)
        false = [it in (claims.FASTER, claims.SLOWER) for it in verdicts.values()]
        said += false
        some += any(false)
        chances += [2 * min(claims.signed_ranks(values)) <= 0.05 for values in row_logs.values()]
    check("claims_same_against_itself_rows", share(said) < 1 / 20,
          "%d of %d rows called different" % (sum(said), len(said)))
    check("claims_same_against_itself_runs", some <= 0.05 * runs, "in %d of %d runs" % (some, runs))
    check("claims_test_is_exact", 0.035 < share(chances) < 0.055,
          "p below 0.05 in %.3f of rows before the correction" % share(chances))


def test_intervals(generator):
    for rounds in (6, 12, 20):
        held = share(it["low"] <= 1.05 <= it["high"]
                     for it in (estimates.ratio(paired(generator, 1.05, rounds)) for _ in range(150)))
        check("estimates_interval_of_a_row_covers", 0.92 <= held, "%d rounds: %.3f" % (rounds, held))
    held = 0
    for _ in range(60):
        truths = [generator.uniform(0.7, 1.4) for _ in range(6)]
        it = estimates.mean_ratio([paired(generator, truth, 12) for truth in truths], [1, 1, 1, 2, 2, 2])
        held += (it["low"] <= math.exp(estimates.weighted([[math.log(truth)] for truth in truths],
                                                          [1, 1, 1, 2, 2, 2])[0]) <= it["high"])
    check("estimates_interval_of_a_mean_covers", held / 60 >= 0.9, "%.3f" % (held / 60))


def test_real_differences(generator, rows=12):
    """Of 5 %, in both directions, found with as many rounds as rounds_to_decide asks for; never called
    the other way, nor equal."""
    first = [paired(generator, 1.05, 14) for _ in range(rows)]
    rounds = sorted(claims.rounds_to_decide(values, rows) for values in first)[rows // 2]
    verdicts = []
    for _ in range(15):
        truths = {row: (1.05, 1 / 1.05)[row % 2] for row in range(rows)}
        said = claims.judge({row: paired(generator, truth, rounds) for row, truth in truths.items()})
        verdicts += [(said[row], claims.SLOWER if truth > 1 else claims.FASTER)
                     for row, truth in truths.items()]
    found = share(said == truth for said, truth in verdicts)
    check("claims_differences_of_5_percent_are_found", found >= 0.7,
          "%.2f of them in %d rounds" % (found, rounds))
    wrong = sum(said not in (truth, claims.UNDECIDED) for said, truth in verdicts)
    check("claims_differences_of_5_percent_are_not_mistaken", wrong <= 0.01 * len(verdicts),
          "%d of %d" % (wrong, len(verdicts)))
    equal = claims.judge({row: paired(generator, 1.0, rounds) for row in range(rows)})
    found = share(it == claims.EQUAL for it in equal.values())
    check("claims_equal_ones_are_found_equal", found >= 0.5, "%.2f of them in %d rounds" % (found, rounds))


def test_fastest(generator, runs=150):
    """Of five that do not differ, who was chosen in the same rounds looks faster than the next; in the
    other rounds he does not."""
    same, other = [], []
    for _ in range(runs):
        found = times(generator, {name: 1.0 for name in "abcde"}, 12)
        first, last = (claims.ranking({name: [it] for name, it in found.items()}, [1])[at] for at in (0, -1))
        same.append(estimates.middle(estimates.logs(claims.odd(found[first]), claims.odd(found[last]))))
        other.append(estimates.middle(estimates.logs(claims.even(found[first]), claims.even(found[last]))))
    lucky, fair = math.exp(sum(same) / runs), math.exp(sum(other) / runs)
    check("claims_fastest_is_lucky_where_chosen", lucky < 0.97, "%.3f of the last one's time" % lucky)
    check("claims_fastest_is_compared_elsewhere", 0.98 < fair < 1.02, "%.3f" % fair)


def test_too_few_rounds(generator):
    """However large the difference."""
    said = claims.judge({row: paired(generator, 3.0, 7) for row in range(15)})
    check("claims_seven_rounds_claim_nothing_of_many_rows", set(said.values()) == {claims.UNDECIDED},
          "needed: %d" % claims.rounds_needed(15))
    check("estimates_three_rounds_have_no_interval",
          estimates.ratio(paired(generator, 3.0, 3))["low"] is None, "")
    alike = [0.001, -0.002, 0.003, -0.004, 0.005, -0.006]
    check("claims_equality_needs_rounds_too",
          [claims.judge({0: alike[:n]})[0] for n in (5, 6)] == [claims.UNDECIDED, claims.EQUAL], "")
    for count in (1, 15, 45, 252):
        needed = claims.rounds_needed(count)
        most = claims.judge({row: [1.0 + round_ / 100 for round_ in range(needed)] for row in range(count)})
        less = claims.judge({row: [1.0 + round_ / 100 for round_ in range(needed - 1)]
                             for row in range(count)})
        check("claims_rounds_needed_are_enough_and_no_more",
              set(most.values()) == {claims.SLOWER} and set(less.values()) == {claims.UNDECIDED},
              "%d for %d" % (needed, count))


def test_known_values():
    """By hand and from the tables of the test: all of five on one side, 1/32; ties share a
    rank; zeros have none."""
    check("claims_ranks_all_on_one_side", claims.signed_ranks([1, 2, 3, 4, 5]) == (1.0, 1 / 32), "")
    check("claims_ranks_with_ties", claims.signed_ranks([1, 1, -1]) == (7 / 8, 0.5), "")
    check("claims_ranks_without_any", claims.signed_ranks([0, 0]) == (1.0, 1.0), "")
    check("claims_difference_is_two_sided",
          claims.p_difference([1, 2, 3, 4, 5]) == (1 / 16, claims.SLOWER), "")
    adjusted = claims.holm({"a": 0.01, "b": 0.04, "c": 0.03})
    check("claims_holm", [round(adjusted[key], 9) for key in "abc"] == [0.03, 0.06, 0.06], adjusted)
    again = [estimates.ratio([0.1, 0.2, 0.3, 0.1, 0.2, 0.4, 0.1]) for _ in range(2)]
    check("estimates_are_the_same_each_time", again[0] == again[1], "")


def result(generator, truths, rounds):
    """A whole one of three allocators, by row the true times of jemalloc and of ours, to the system's."""
    cells = {}
    for row, (jemalloc, fallow) in truths.items():
        found = times(generator, {"system": 1.0, "jemalloc": jemalloc, "fallow": fallow}, rounds)
        cells[row] = {name: {"runs": [{"seconds": it, "cpu_seconds": it, "peak_kib": 1000}
                                      for it in found[name]]} for name in found}
    rows = [{"name": row, "kind": "workload", "weight": 1, "command": []} for row in truths]
    return {"base": "jemalloc", "allocators": ["system", "jemalloc", "fallow"], "rows": rows,
            "results": cells}


def test_judgement_of_the_same(generator, runs=60, rows=8):
    """Whole results of three that do not differ: no rows, no means, hardly a winner."""
    different, said, winners = (claims.FASTER, claims.SLOWER), [], 0
    for _ in range(runs):
        it = judgement.Judgement(result(generator, {row: (1.0, 1.0) for row in range(rows)}, 12))
        said += [one in different for family in (*it.verdicts.values(), it.mean_verdicts)
                 for one in family.values()]
        winners += it.winner()[3] in different
    check("judgement_of_the_same_rows_and_means", share(said) < 1 / 20, "%d of %d" % (sum(said), len(said)))
    check("judgement_of_the_same_has_no_winner", winners <= 0.1 * runs, "%d of %d" % (winners, runs))


def test_judgement(generator):
    """Ours is the fastest by far on one row, fails on another; the mean is over rows that all finished."""
    whole = result(generator, {"fast": (0.9, 0.5), "slow": (0.9, 1.2), "broken": (0.9, 1.0)}, 40)
    whole["results"]["broken"]["fallow"]["error"] = "ended by signal 11"
    it = judgement.Judgement(whole)
    check("judgement_fast_row", it.verdict("fast", "fallow") == claims.FASTER and
          it.verdict("fast", "fallow", "system") == claims.FASTER, "")
    check("judgement_lost_rows", {row for row, _, _ in it.lost()} == {"slow"}, it.lost())
    check("judgement_mean_leaves_out_what_failed", len(it.of_group(None)) == 2, "")
    check("judgement_winner", it.winner()[:2] == ("fallow", "jemalloc") and it.winner()[3] == claims.FASTER,
          it.winner())
    check("judgement_equal_memory", it.verdict("fast", "fallow", key="peak_kib") == claims.EQUAL,
          it.verdict("fast", "fallow", key="peak_kib"))


print("seed 16")
GENERATOR = random.Random(16)
test_known_values()
test_too_few_rounds(GENERATOR)
test_same_against_itself(GENERATOR)
test_intervals(GENERATOR)
test_real_differences(GENERATOR)
test_fastest(GENERATOR)
test_judgement_of_the_same(GENERATOR)
test_judgement(GENERATOR)
sys.exit(1 if failed else 0)
