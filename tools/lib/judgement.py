# SPDX-License-Identifier: MIT
"""From the results of a comparison to everything that the report says of them: ratios,
means, verdicts, who won.

A result is taken as results.json has it, so that a report can be made again from it. Rows that failed
somewhere have no part in means. This file must never measure, read or write, and never show a figure; it
decides nothing by itself that claims.py can decide.
"""
import itertools

import claims
import estimates

OURS = "fallow"
KEYS = ("seconds", "cpu_seconds", "peak_kib")


TURNED = {claims.FASTER: claims.SLOWER, claims.SLOWER: claims.FASTER}


class Judgement:
    def __init__(self, results, within=claims.WITHIN):
        self.results, self.within, self.base = results, within, results["base"]
        self.names, self.rows = results["allocators"], results["rows"]
        self.complete = [row for row in self.rows
                         if all(self.figures(row["name"], name, "seconds") for name in self.names)]
        self.comparisons = len(self.rows) * len(self.pairs())
        self.needed = claims.rounds_needed(self.comparisons)
        self.verdicts = {key: claims.judge(self.all_logs(key), within) for key in ("seconds", "peak_kib")}
        kinds = [kind for kind in ("program", "workload") if any(row["kind"] == kind for row in self.rows)]
        sets = sorted({row.get("set", 1) for row in self.rows})  # older results have one
        self.groups = [None] + (kinds if len(kinds) > 1 else []) + (sets if len(sets) > 1 else [])
        self.mean_verdicts = (claims.judge(self.all_means(), within) if len(self.rows) > 1
                              else self.verdicts_of_one_row())
        self.known = {}

    def pairs(self):
        """Who is compared with whom: all with the base, and ours with all. Each two once."""
        to_base = [(name, self.base) for name in self.names if name != self.base]
        with_ours = OURS in self.names and OURS != self.base
        return to_base + [(OURS, name) for name in self.names if with_ours and name not in (OURS, self.base)]

    def identity(self, name):
        """What an allocator is, whatever it is called: its contents and its options."""
        about = self.results["facts"]["allocators"].get(name, {})
        return about.get("sha256", about.get("path", name)), about.get("options", "")

    def same(self):
        """Pairs of names of which the second is the first again."""
        return [(a, b) for n, a in enumerate(self.names) for b in self.names[n + 1:]
                if self.identity(a) == self.identity(b)]

    def against_itself(self):
        """Is it the same library under all names (A/A)?"""
        return len(self.names) > 1 and len({self.identity(name) for name in self.names}) == 1

    def figures(self, row, name, key):
        """By round; none where a run failed, or one was not counted."""
        cell = self.results["results"][row][name]
        return ([] if "error" in cell or any(key not in run for run in cell["runs"])
                else [run[key] for run in cell["runs"]])

    def logs(self, key, row, name, to):
        return estimates.logs(self.figures(row, name, key), self.figures(row, to, key))

    def all_logs(self, key):
        every = {(row["name"], name, to): self.logs(key, row["name"], name, to) for row in self.rows
                 for name, to in self.pairs()}
        return {it: values for it, values in every.items() if values}

    def ratio(self, row, name, to=None, key="seconds"):
        """An estimate, or None."""
        asked = (row, name, to or self.base, key)
        if asked not in self.known:
            self.known[asked] = estimates.ratio(self.logs(key, row, name, to or self.base))
        return self.known[asked]

    def quartiles(self, row, name):
        ours, base = self.figures(row, name, "seconds"), self.figures(row, self.base, "seconds")
        return estimates.lower_quartile(ours) / estimates.lower_quartile(base)

    def of_group(self, group):
        """The rows of a mean: all, those of a kind, those of a set."""
        return [row for row in self.complete if group in (None, row["kind"], row.get("set", 1))]

    def all_means(self):
        """{(name, to, key, group): logarithms of the mean, by round}, of all that the report
        shows: a family by itself."""
        found = {}
        for asked in itertools.product(self.pairs(), KEYS, self.groups):
            (name, to), key, group = asked
            rows = self.of_group(group)
            values = estimates.weighted([self.logs(key, row["name"], name, to) for row in rows],
                                        [row["weight"] for row in rows]) if rows else []
            if values:
                found[name, to, key, group] = values
        return found

    def verdicts_of_one_row(self):
        """The mean of one row is that row, and no claim by itself."""
        return {(name, to, key, None): said for key, family in self.verdicts.items()
                for (_, name, to), said in family.items()}

    def mean(self, name, to=None, key="seconds", group=None):
        """An estimate or None."""
        rows, asked = self.of_group(group), (None, name, to or self.base, key, group)
        if asked not in self.known:
            self.known[asked] = estimates.mean_ratio(
                [self.logs(key, row["name"], name, to or self.base) for row in rows],
                [row["weight"] for row in rows])
        return self.known[asked]

    def mean_verdict(self, name, to=None, key="seconds", group=None):
        """Whichever of the two is the base."""
        to = to or self.base
        if (name, to) in self.pairs():
            return self.mean_verdicts.get((name, to, key, group))
        said = self.mean_verdicts.get((to, name, key, group))
        return TURNED.get(said, said)

    def verdict(self, row, name, to=None, key="seconds"):
        """Whichever of the two is the base."""
        to = to or self.base
        if (name, to) in self.pairs():
            return self.verdicts[key].get((row, name, to))
        said = self.verdicts[key].get((row, to, name))
        return TURNED.get(said, said)

    def counts(self, name, to, key="seconds"):
        """{verdict: of how many rows}."""
        said = [self.verdict(row["name"], name, to, key) for row in self.rows]
        return {it: said.count(it) for it in (claims.FASTER, claims.SLOWER, claims.EQUAL, claims.UNDECIDED)}

    def lost(self, key="seconds"):
        """[(row, peer, estimate)] of what ours lost for certain, the worst first."""
        found = [(row["name"], peer, self.ratio(row["name"], OURS, peer, key))
                 for row in self.rows for peer in self.names
                 if peer != OURS and self.verdict(row["name"], OURS, peer, key) == claims.SLOWER]
        return sorted(found, key=lambda it: -it[2]["ratio"])

    def lost_means(self, key):
        """[(peer, estimate)] of the means over all rows that ours lost for certain."""
        return [(peer, self.mean(OURS, peer, key)) for peer in self.names
                if len(self.rows) > 1 and peer != OURS and
                self.mean_verdict(OURS, peer, key) == claims.SLOWER]

    def front(self):
        """Names that nobody beats in the means of both time and peak memory, certain or not: who is
        worth a look (Pareto)."""
        both = {name: (self.mean(name), self.mean(name, key="peak_kib")) for name in self.names}
        at = {name: (time["ratio"], peak["ratio"]) for name, (time, peak) in both.items() if time and peak}
        return [name for name, mine in at.items()
                if not any(its[0] <= mine[0] and its[1] <= mine[1] and its != mine for its in at.values())]

    def contest(self, ours, theirs, rows):
        """Of two, by row, in the even rounds: (estimate of the mean, verdict)."""
        weights = [row["weight"] for row in rows]
        found = [estimates.logs(claims.even(a), claims.even(b)) for a, b in zip(ours, theirs)]
        if not found or not all(found):
            return None, claims.UNDECIDED
        said = claims.judge({"": estimates.weighted(found, weights)}, self.within)[""]
        return estimates.mean_ratio(found, weights), said

    def winner(self):
        """(name, the next one, estimate, verdict): chosen in the odd rounds by the mean time,
        compared in the even ones."""
        times = {name: [self.figures(row["name"], name, "seconds") for row in self.complete]
                 for name in self.names}
        if len(self.names) < 2 or not self.complete:
            return None
        first, second = claims.ranking(times, [row["weight"] for row in self.complete])[:2]
        return (first, second) + self.contest(times[first], times[second], self.complete)

    def against_best(self):
        """Ours against the peer that is the fastest of a row in its odd rounds, row by
        row: (estimate, verdict)."""
        peers = [name for name in self.names if name != OURS]
        best = [claims.ranking({name: [self.figures(row["name"], name, "seconds")] for name in peers}, [1])[0]
                for row in self.complete]
        return self.contest([self.figures(row["name"], OURS, "seconds") for row in self.complete],
                            [self.figures(row["name"], name, "seconds")
                             for row, name in zip(self.complete, best)], self.complete)

    def rounds_to_decide(self):
        """About how many rounds would decide half of the undecided comparisons; None
        where all are decided."""
        wanted = sorted(claims.rounds_to_decide(values, self.comparisons, self.within)
                        for it, values in self.all_logs("seconds").items()
                        if self.verdicts["seconds"][it] == claims.UNDECIDED and
                        len(values) >= estimates.INTERVAL_ROUNDS_MIN)
        return wanted[len(wanted) // 2] if wanted else None
