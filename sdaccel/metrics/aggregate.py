"""What a record holds of a metric: one figure per arm with its interval, and where it is a mean, the value of every sample."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sdaccel.errors import BadInput
from sdaccel.metrics.intervals import Interval, are_shares, mean_interval, share_interval
from sdaccel.metrics.metric import METRICS


@dataclass(frozen=True)
class Aggregate:
    estimate: float | None
    """None: it could not be had from these samples; `note` says why."""
    n: int
    """Samples behind it."""
    low: float | None = None
    """Ends of the 95 % interval, for metrics that have one."""
    high: float | None = None
    note: str = ""

    def content(self) -> dict[str, Any]:
        """Six digits: the last ones of a network's output differ between machines."""
        out = {"estimate": digits(self.estimate), "low": digits(self.low), "high": digits(self.high), "n": self.n}
        return out | ({"note": self.note} if self.note else {})


@dataclass(frozen=True)
class Scores:
    """The metrics of one arm."""

    aggregates: dict[str, Aggregate] = field(default_factory=dict)
    values: dict[str, list[float | None]] = field(default_factory=dict)
    """One value per sample; None where the sample has none."""

    def merged(self, other: "Scores") -> "Scores":
        return Scores(self.aggregates | other.aggregates, self.values | other.values)


def digits(value: float | None) -> float | int | None:
    """Six significant digits, whole numbers without a point; None where it is not finite."""
    if value is None or not math.isfinite(value):
        return None
    rounded = float(f"{value:.6g}")
    return int(rounded) if rounded.is_integer() else rounded


def of_interval(compute: Callable[[], Interval], n: int) -> Aggregate:
    """An interval, or the reason why so few samples have none."""
    try:
        found = compute()
    except BadInput as error:
        return Aggregate(None, n, note=str(error))
    return Aggregate(found.estimate, n, found.low, found.high)


def of_values(values: np.ndarray, *, share: bool | None = None) -> Aggregate:
    """The mean of what is finite, NaN standing for samples that have no value; too few samples have a mean and no interval.

    `share`: values are right or wrong, or the share that is right; None: they are if there is nothing but 0 and 1.
    """
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return Aggregate(None, 0, note="no sample has a finite value")
    if len(finite) == 1:
        return Aggregate(float(finite[0]), 1, note="an interval needs two or more samples")
    interval = share_interval if share or (share is None and are_shares(finite)) else mean_interval
    found = of_interval(lambda: interval(finite), len(finite))
    return found if found.estimate is not None else replace(found, estimate=float(finite.mean()))


def of_samples(columns: Mapping[str, np.ndarray], *, shown: Sequence[str] | None = None) -> Scores:
    """Aggregates of per-sample columns (N,); the record keeps the values of those in `shown`, or of all."""
    kept = {name: [digits(v) for v in column.tolist()] for name, column in columns.items() if shown is None or name in shown}
    return Scores({name: of_values(column, share=_share(name)) for name, column in columns.items()}, kept)


def _share(name: str) -> bool | None:
    """As the metric is declared."""
    known = METRICS.get(name)
    return known.share if known else None
