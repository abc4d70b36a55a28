"""What an interval says of a bound: p, power, the smallest difference it could have shown, and Holm's step-down.

    p           two-sided, of the normal whose 97.5 % quantile is the end that faces the bound: p <= 0.05 exactly where the
                interval leaves the bound out
    power       of the claim "within the margin" if the truth were 0, before Holm: Phi(margin / se - 1.96)
    detectable  distance to a bound that is seen in 80 of 100 repetitions: (1.96 + 0.84) se
    holm        p sorted upwards, times how many are left, never falling (Holm 1979)

The standard error se is half the interval over 1.96, so that all of them speak of the interval that is shown.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

from sdaccel.metrics.intervals import CONFIDENCE, Interval

ALPHA = 1 - CONFIDENCE
POWER = 0.8
NORMAL = NormalDist()
Z = NORMAL.inv_cdf((1 + CONFIDENCE) / 2)
Region = tuple[float, float]
"""Values for which a claim holds, ends included; an end may be infinite."""


def p_value(estimate: float, end: float, bound: float) -> float:
    """Of a truth at the bound, by the end of the interval that faces it; an interval of no width is certain."""
    if math.isinf(bound) or estimate == end:
        return 0.0
    return 2 * NORMAL.cdf(-Z * abs(bound - estimate) / abs(end - estimate))


def decide(found: Interval, region: Region) -> tuple[bool, float]:
    """(the estimate lies in the region, p of its lying there, or of its lying outside)."""
    low, high = region
    if low <= found.estimate <= high:
        return True, max(p_value(found.estimate, found.low, low), p_value(found.estimate, found.high, high))
    below = found.estimate < low
    return False, p_value(found.estimate, found.high if below else found.low, low if below else high)


def standard_error(found: Interval) -> float:
    return (found.high - found.low) / (2 * Z)


def power(se: float, margin: float, *, sides: int) -> float:
    """Of one side: the loss is below the margin. Of two: the difference is within it."""
    if se == 0:
        return 1.0
    missed = NORMAL.cdf(Z - margin / se)
    return max(1 - sides * missed, 0.0)


def detectable(se: float) -> float:
    return (Z + NORMAL.inv_cdf(POWER)) * se


def holm(values: Sequence[float]) -> list[float]:
    """Adjusted for how many claims were made at once."""
    order, out, least = sorted(range(len(values)), key=values.__getitem__), [0.0] * len(values), 0.0
    for rank, i in enumerate(order):
        least = max(least, min((len(values) - rank) * values[i], 1.0))
        out[i] = least
    return out
