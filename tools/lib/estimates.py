# SPDX-License-Identifier: MIT
"""What can be said of measured times: ratios taken pair by pair within a round, with intervals.

Noise on a virtual machine is one-sided: a run can only be slower than it would have been. So beside the median stands
the ratio of the lower quartiles, and rounds are many and short.
"""
import math
import random
import statistics

RESAMPLES = 2000


def lower_quartile(values):
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 4]


def ratio(ours, base):
    """Of two lists, run i of each in the same round: median of the paired ratios, its 95 % interval (bootstrap over
    rounds, seeded), and the ratio of the lower quartiles."""
    pairs = [a / b for a, b in zip(ours, base) if b > 0]
    if not pairs:
        return None
    generator = random.Random(1)
    medians = sorted(statistics.median(generator.choices(pairs, k=len(pairs))) for _ in range(RESAMPLES))
    return {"median": statistics.median(pairs), "low": medians[int(RESAMPLES * 0.025)],
            "high": medians[int(RESAMPLES * 0.975)], "quartile": lower_quartile(ours) / lower_quartile(base)}


def verdict(it):
    """In words. An interval that holds 1 is no difference; nor is one that a hundredth would move there."""
    if it is None:
        return ""
    return "faster" if it["high"] < 0.99 else "slower" if it["low"] > 1.01 else "no difference"


def geometric_mean(values_and_weights):
    pairs = [(value, weight) for value, weight in values_and_weights if value and value > 0]
    total = sum(weight for _, weight in pairs)
    return math.exp(sum(weight * math.log(value) for value, weight in pairs) / total) if total else None


def integral(curve):
    """Of (seconds, bytes): byte seconds."""
    return sum((later[0] - now[0]) * now[1] for now, later in zip(curve, curve[1:]))
