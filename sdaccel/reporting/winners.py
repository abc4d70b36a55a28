"""Which arm wins at each cost, said plainly: the best accelerated arm beside the best that merely computes less.

Samples of all arms are made of the same noise, so where the record holds a metric's values the two are compared in pairs, by
Student's interval of the mean difference. A distance between sets has no values: there one arm wins where the intervals of
both lie apart, which asks for more than a paired comparison would.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from sdaccel.metrics.metric import of, ranked
from sdaccel.records.view import Record
from sdaccel.reporting.cells import Cell, Range, Table, ranged
from sdaccel.reporting.methods import rivals, within
from sdaccel.reporting.quality import named
from sdaccel.reporting.quality_cost import Axis, prices
from sdaccel.reporting.registry import table, with_figure

BUDGETS = (0.6, 0.37, 0.25, 0.19, 0.15)
"""Shares of the baseline's cost: just above 28, 18, 12, 9 and 7 steps of 50, and a forecast's own price."""
COLUMNS = (
    "cost at most",
    "metric",
    "best accelerated",
    "reaches",
    "best rival",
    "rival reaches",
    "better by",
    "winner",
    "level",
)
"""`better by` is positive where the accelerated arm is better; `level`: accelerated arms that cannot be told from the best."""


@table(name="winners", place=90, needs=with_figure("pareto"))
def winners(record: Record) -> Table:
    """A row per cost, budget and metric."""
    rows: list[tuple[Cell, ...]] = []
    for cost, unit in zip(relative(record), ("MACs", "time, decode in"), strict=False):
        for budget in BUDGETS:
            rows += [
                (f"{100 * budget:g} % of {unit}", metric.label, *row)
                for metric in ranked("panel")
                if (row := _row(record, metric.name, cost, budget))
            ]
    return Table(COLUMNS, rows)


def relative(record: Record) -> list[Axis]:
    """Costs as shares of the baseline's."""
    baseline = record.study.baseline
    return [
        Axis(axis.label, {name: value / axis.of[baseline] for name, value in axis.of.items()})
        for axis in prices(record)
        if baseline in axis.of
    ]


def _row(record: Record, metric: str, cost: Axis, budget: float) -> tuple[Cell, ...] | None:
    arms, names, baseline = record.measured, named(record), record.study.baseline
    known = [name for name in arms if name != baseline and arms[name].estimate(metric) is not None]
    affordable = within(known, cost.of, budget)
    trivial = [name for name in affordable if name in rivals(record)]
    ours = [name for name in affordable if name not in trivial]
    if not trivial or not ours:
        return None
    best, rival = best_of(record, metric, ours), best_of(record, metric, trivial)
    gap = difference(record, metric, best, rival)
    winner = rival if gap.high is not None and gap.high < 0 else best if gap.low is not None and gap.low > 0 else None
    alike = [name for name in ours if name != best and level(difference(record, metric, best, name))]
    return (
        names[best],
        ranged(arms[best].metrics[metric]),
        names[rival],
        ranged(arms[rival].metrics[metric]),
        gap,
        names[winner] if winner else "neither",
        ", ".join(names[name] for name in alike) or "no other",
    )


def best_of(record: Record, metric: str, names: Sequence[str]) -> str:
    """The arm with the best point estimate."""
    sign = -1 if of(metric).lower else 1
    return max(names, key=lambda name: sign * record.arms[name].known(metric))


def difference(record: Record, metric: str, a: str, b: str) -> Range:
    """How much better a is than b, whichever way is better."""
    sign = -1 if of(metric).lower else 1
    x, y = (record.arms[name].values.get(metric) for name in (a, b))
    if x and y:
        return student(sign * (_numbers(x) - _numbers(y)))
    estimate = sign * (record.arms[a].known(metric) - record.arms[b].known(metric))
    one, other = (record.arms[name].metrics[metric].ends for name in (a, b))
    if one is None or other is None:
        return Range(estimate)
    low, high = sorted((sign * (one[0] - other[1]), sign * (one[1] - other[0])))
    return Range(estimate, low, high)


def student(values: np.ndarray, *, confidence: float = 0.95) -> Range:
    """Mean of what is finite; no interval below two values."""
    finite = values[np.isfinite(values)]
    if len(finite) < 2:
        return Range(float(finite.mean()) if len(finite) else math.nan)
    reach = float(stdtrit(len(finite) - 1, (1 + confidence) / 2)) * float(finite.std(ddof=1)) / math.sqrt(len(finite))
    return Range(float(finite.mean()), float(finite.mean()) - reach, float(finite.mean()) + reach)


def level(gap: Range) -> bool:
    """The interval of a difference holds 0, or there is none: the two arms cannot be told apart."""
    return gap.low is None or gap.high is None or gap.low <= 0 <= gap.high


def _numbers(values: Sequence[float | None]) -> np.ndarray:
    return np.array([math.nan if value is None else value for value in values], dtype=float)
