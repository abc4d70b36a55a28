"""Two arms in one metric: their difference or their ratio, with its interval.

By pairs where both have a value of every sample: sample i of both has one condition, and mostly one noise. Otherwise from the
intervals of both as if they were independent, which is too wide where they share samples of a reference, never too narrow.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sdaccel.errors import BadInput
from sdaccel.metrics.aggregate import Aggregate, Scores, digits, of_interval, of_values
from sdaccel.metrics.intervals import Interval, mean_interval
from sdaccel.metrics.metric import of


@dataclass(frozen=True)
class Seen:
    """A metric of an arm."""

    whole: Aggregate
    values: np.ndarray | None = None
    """(N,), NaN where a sample has none; None: the metric is of sets."""


def seen(scores: Scores, metric: str) -> Seen:
    """From the values of its samples where there are any. All as a record holds it, so that a record can be judged again."""
    if (values := scores.values.get(metric)) is None:
        found = scores.aggregates[metric]
        return Seen(replace(found, estimate=digits(found.estimate), low=digits(found.low), high=digits(found.high)))
    column = np.array(values, dtype=float)
    return Seen(of_values(column, share=of(metric).share), column)


def difference(own: Seen, other: Seen) -> Aggregate:
    if own.values is None or other.values is None:
        return _apart(own.whole, other.whole)
    a, b = own.values, other.values
    return of_interval(lambda: _mean(np.subtract(*_pairs(a, b))), len(a))


def ratio(own: Seen, other: Seen) -> Aggregate:
    """Of means by pairs: to first order every sample moves it by (own - ratio other) / mean of the other."""
    if own.values is None or other.values is None:
        return _quotient(own.whole, other.whole)
    a, b = own.values, other.values
    return of_interval(lambda: _ratio(*_pairs(a, b)), len(a))


def negated(found: Aggregate) -> Aggregate:
    return Aggregate(_minus(found.estimate), found.n, _minus(found.high), _minus(found.low), found.note)


def _minus(value: float | None) -> float | None:
    return None if value is None else -value


def _pairs(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Without samples that neither has a value of; leaving out one arm's alone could hide all that differs."""
    if len(a) != len(b):
        raise BadInput(f"one arm has {len(a)} values and the other {len(b)}, so that they are no pairs.")
    known = np.isfinite(a), np.isfinite(b)
    if lone := int((known[0] != known[1]).sum()):
        raise BadInput(f"{lone} of {len(a)} samples have a value in one arm and none in the other.")
    return a[known[0]], b[known[0]]


def _ratio(a: np.ndarray, b: np.ndarray) -> Interval:
    whole = a.mean() / b.mean()
    return _mean(whole + (a - whole * b) / b.mean())


def _mean(values: np.ndarray) -> Interval:
    if len(values) < 2:
        raise BadInput("an interval needs two or more pairs.")
    return mean_interval(values)


def _apart(a: Aggregate, b: Aggregate) -> Aggregate:
    """Squares of what lies between an estimate and its ends add up (Zou and Donner 2008)."""
    n = min(a.n, b.n)
    if (lacks := _lacking(a, b)) is not None:
        return lacks
    (x, low, high), (y, lower, upper) = _known(a), _known(b)
    return Aggregate(x - y, n, x - y - math.hypot(x - low, upper - y), x - y + math.hypot(high - x, y - lower))


def _quotient(a: Aggregate, b: Aggregate) -> Aggregate:
    """Both at their worst ends at once."""
    if (lacks := _lacking(a, b)) is not None:
        return lacks
    (x, low, high), (y, lower, upper) = _known(a), _known(b)
    if lower <= 0:  # it may be a ratio to nothing
        return Aggregate(x / y, min(a.n, b.n), low / upper if low >= 0 else -math.inf, math.inf)
    ends = [end / by for end in (low, high) for by in (lower, upper)]
    return Aggregate(x / y, min(a.n, b.n), min(ends), max(ends))


def _lacking(*arms: Aggregate) -> Aggregate | None:
    """The one without an interval, as what has none."""
    short: Sequence[Aggregate] = [each for each in arms if None in (each.estimate, each.low, each.high)]
    return Aggregate(None, short[0].n, note=short[0].note or "it has no interval") if short else None


def _known(found: Aggregate) -> tuple[float, float, float]:
    assert found.estimate is not None and found.low is not None and found.high is not None, "it has an interval"
    return found.estimate, found.low, found.high
