# SPDX-License-Identifier: MIT
"""What is estimated of measured figures: ratios taken pair by pair within a round, and means
of them, with intervals.

Everything is done with logarithms of ratios, so that "twice" and "half" are as far from 1 as each other and
who is divided by whom does not matter. The estimate of a row is the mean of the middle half of its rounds: an
outlier in one of four rounds moves it by little, and where nothing is wrong it spreads less than a median
does. Intervals are a bootstrap over rounds; one set of draws serves all rows, so that what a round did to all
of them stays together in a mean over rows.

What may be claimed is not decided here (claims.py). This file must never read, write, look at a clock or draw
from a generator without a seed: the same figures give the same estimates, anywhere.
"""
import functools
import math
import operator
import random
import statistics

RESAMPLES = 2000
LEVEL = 0.05
# Below, no 95 % interval is to be had: 2 / 2^5, all rounds on one side, is more than 5 %.
INTERVAL_ROUNDS_MIN = 6


def logs(ours, base):
    """Of two lists, run i of each in the same round."""
    return [math.log(a / b) for a, b in zip(ours, base) if a > 0 and b > 0]


def middle(values):
    """The mean of the middle half."""
    ordered = sorted(values)
    cut = len(ordered) // 4
    kept = ordered[cut:len(ordered) - cut]
    return sum(kept) / len(kept)


@functools.lru_cache(maxsize=None)
def draws(rounds, resamples=RESAMPLES):
    """The bootstrap's choices of rounds, the same for all rows of as many rounds."""
    generator = random.Random(rounds)
    return [operator.itemgetter(*generator.choices(range(rounds), k=rounds)) for _ in range(resamples)]


def resampled(values):
    return [middle(draw(values)) for draw in draws(len(values))]


@functools.lru_cache(maxsize=None)
def tail(rounds):
    """The share of the resamples to leave out at each end. Percentiles of a bootstrap are too near to each
    other with few rounds: they know neither that a spread is divided by n - 1, nor that it is itself an
    estimate. So the tails are those that make a bootstrap of a mean as wide as Student's interval
    (Hesterberg, 2015, "expanded percentile")."""
    normal, free = statistics.NormalDist(), rounds - 1
    z = normal.inv_cdf(1 - LEVEL / 2)
    student = z + (z ** 3 + z) / (4 * free) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * free ** 2)
    return normal.cdf(-student * math.sqrt(rounds / free))


def bounds(sample, rounds):
    """The ends of the 95 % interval."""
    ordered, cut = sorted(sample), int(len(sample) * tail(rounds))
    return ordered[cut], ordered[-1 - cut]


def estimate(value, sample, rounds):
    """A ratio and its 95 % interval, of the logarithm and its resamples; without an interval
    where rounds are too few."""
    if rounds < INTERVAL_ROUNDS_MIN:
        return {"ratio": math.exp(value), "low": None, "high": None, "rounds": rounds}
    low, high = bounds(sample, rounds)
    return {"ratio": math.exp(value), "low": math.exp(low), "high": math.exp(high), "rounds": rounds}


def slope(points, columns):
    """Of costs at some points, by round: the exponent with which they grow, by least squares of logarithms in
    each round. 0: they do not; 1: in proportion."""
    across = [math.log(point) for point in points]
    centre = statistics.fmean(across)
    spread = sum((x - centre) ** 2 for x in across)
    values = [sum((x - centre) * math.log(cost) for x, cost in zip(across, costs)) / spread
              for costs in columns]
    low, high = bounds(resampled(values), len(values)) if len(values) >= INTERVAL_ROUNDS_MIN else (None, None)
    return {"slope": middle(values), "low": low, "high": high}


def ratio(values):
    """Of the logarithms of one row."""
    if not values:
        return None
    return estimate(middle(values),
                    resampled(values) if len(values) >= INTERVAL_ROUNDS_MIN else [], len(values))


def weighted(columns, weights):
    """Of columns of equal length: their weighted mean, place by place."""
    total = sum(weights)
    return [sum(value * weight for value, weight in zip(place, weights)) / total for place in zip(*columns)]


def mean_ratio(rows, weights):
    """Of the logarithms of several rows, round i of each the same round: the geometric mean of
    their ratios. Its interval is over rounds: it says what these rows would give on another day,
    not what other rows would."""
    if not rows or not all(rows):
        return None
    rounds = min(len(row) for row in rows)
    rows = [row[:rounds] for row in rows]
    value = weighted([[middle(row)] for row in rows], weights)[0]
    sample = weighted([resampled(row) for row in rows], weights) if rounds >= INTERVAL_ROUNDS_MIN else []
    return estimate(value, sample, rounds)


def lower_quartile(values):
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 4]


def integral(curve):
    """Of (seconds, bytes): byte seconds."""
    return sum((later[0] - now[0]) * now[1] for now, later in zip(curve, curve[1:]))
