# SPDX-License-Identifier: MIT
"""What may be claimed of measured ratios: faster, slower, equal within some percent, or
undecided, and nothing else.

A claim rests on signs and ranks (Wilcoxon's signed-rank test, exact). The order of the allocators is drawn
anew in each round; so where two of them do not differ, each round's ratio could as well have been its
inverse, whatever the noise, its outliers and its drift look like. That is all the test needs.

Claims of one run are made together, by Holm's rule: the chance that any of them is false is below LEVEL. This
file must never read or write, and never give a claim to fewer rounds than could bear it.
"""
import functools
import math
import statistics

import estimates

LEVEL = 0.05
BEYOND = 0.01  # a difference that a hundredth would undo is not claimed
WITHIN = 0.05  # the usual x of "equal within x"
FASTER, SLOWER, EQUAL, UNDECIDED = "faster", "slower", "equal", "undecided"


@functools.lru_cache(maxsize=1024)
def rank_sums(ranks):
    """Of 2^n equally probable choices of signs, how many give each sum of positive ranks."""
    counts = [1] + [0] * sum(ranks)
    for rank in ranks:
        for total in range(len(counts) - 1, rank - 1, -1):
            counts[total] += counts[total - rank]
    return counts


def doubled_ranks(sizes):
    """Ranks of ordered sizes, times two so that those of ties, which share a mean, are whole."""
    ranks, at = [], 0
    while at < len(sizes):
        end = at
        while end < len(sizes) and sizes[end] == sizes[at]:
            end += 1
        ranks += [at + 1 + end] * (end - at)
        at = end
    return tuple(ranks)


def signed_ranks(values):
    """(p that the centre is not below zero, p that it is not above): one-sided, exact."""
    ordered = sorted((value for value in values if value), key=abs)
    ranks = doubled_ranks([abs(value) for value in ordered])
    positive = sum(rank for rank, value in zip(ranks, ordered) if value > 0)
    counts = rank_sums(ranks)
    return sum(counts[:positive + 1]) / 2 ** len(ranks), sum(counts[positive:]) / 2 ** len(ranks)


def p_difference(values):
    """Of: it differs by no more than BEYOND. With the side on which it lies."""
    step = math.log1p(BEYOND)
    below = signed_ranks([value + step for value in values])[0]
    above = signed_ranks([value - step for value in values])[1]
    return min(1.0, 2 * min(below, above)), FASTER if below < above else SLOWER


def p_equal(values, within):
    """Of: it differs by more than `within`, to either side (two one-sided tests)."""
    step = math.log1p(within)
    return max(signed_ranks([value - step for value in values])[0],
               signed_ranks([value + step for value in values])[1])


def holm(chances):
    """{key: p} adjusted so that all claims below LEVEL hold together (Holm, 1979). Not a false-discovery
    rate: a row is quoted alone, and then a share of false ones among many is no comfort; rows share
    rounds and bases, and Holm's rule asks nothing about that; and what it costs is few rounds, since each
    one halves the smallest p."""
    adjusted, highest = {}, 0.0
    for done, key in enumerate(sorted(chances, key=chances.get)):
        highest = max(highest, min(1.0, chances[key] * (len(chances) - done)))
        adjusted[key] = highest
    return adjusted


def rounds_needed(comparisons):
    """The fewest rounds with which one of so many comparisons could be claimed, were all
    its rounds on one side."""
    return max(estimates.INTERVAL_ROUNDS_MIN, math.ceil(math.log2(2 * max(1, comparisons) / LEVEL)))


def rounds_to_decide(values, comparisons, within=WITHIN):
    """About how many rounds would show, with this noise and in four of five cases, that two who do not differ
    are equal, or that two who differ by `within` are not."""
    normal = statistics.NormalDist()
    sample = sorted(estimates.resampled(values))
    spread = (sample[int(len(sample) * 0.84)] - sample[int(len(sample) * 0.16)]) / 2 * math.sqrt(len(values))
    reach = normal.inv_cdf(1 - LEVEL / 2 / max(1, comparisons)) + normal.inv_cdf(0.9)
    return max(rounds_needed(comparisons),
               math.ceil((reach * spread / (math.log1p(within) - math.log1p(BEYOND))) ** 2))


def verdict(difference, side, equality):
    """A difference is said even where it is a small one: who loses by 2 % for certain has lost."""
    if difference <= LEVEL:
        return side
    return EQUAL if equality <= LEVEL else UNDECIDED


def judge(comparisons, within=WITHIN):
    """{key: logarithms of paired ratios, by round} to {key: verdict}, all claims of them made together.
    Differences and equalities are two families: the chance of any false one is below LEVEL in each."""
    needed = rounds_needed(len(comparisons))
    bearing = {key: values for key, values in comparisons.items() if len(values) >= needed}
    sides = {key: p_difference(values) for key, values in bearing.items()}
    rest = {key: 1.0 for key in comparisons if key not in bearing}  # counted all the same
    different = holm({**{key: p for key, (p, _) in sides.items()}, **rest})
    equal = holm({**{key: p_equal(values, within) for key, values in bearing.items()}, **rest})
    return {key: verdict(different[key], sides[key][1], equal[key]) if key in bearing else UNDECIDED
            for key in comparisons}


def odd(values):
    """The first round, the third, and so on: where somebody is chosen."""
    return values[0::2]


def even(values):
    """The others: where who was chosen is compared. In the rounds in which somebody was
    chosen he has been lucky."""
    return values[1::2]


def ranking(figures, weights):
    """{name: figures of each row, by round}: the names, the least mean of the logarithms first,
    by the odd rounds alone."""
    def mean(name):
        return estimates.weighted([[estimates.middle([math.log(it) for it in odd(row)])]
                                   for row in figures[name]], weights)[0]
    return sorted(figures, key=mean)
