"""What the metrics of a study say: a row per arm for reading, and every figure, or the reason why it is missing."""

from collections.abc import Sequence

from sdaccel.metrics import meaning
from sdaccel.records.view import Record
from sdaccel.reporting import series
from sdaccel.reporting.cells import Cell, Table, ranged

SHOWN = (
    "judge.class",
    "judge.mean",
    "fid",
    "kid",
    "cmmd",
    "precision",
    "recall",
    "inception_score",
    "clip_score",
    "clip_top1",
    "psnr",
    "perceptual",
)
"""Columns of the table for reading, in this order; the class says all that the mean of two attributes does."""


def named(record: Record) -> dict[str, str]:
    """Measured arm -> the shortest name that tells it from the others; of a control, that a bug was planted."""
    labels = series.labels(record.measured)
    return {name: f"planted: {label}" if record.arms[name].control else label for name, label in labels.items()}


def quality(record: Record, *, shown: Sequence[str] = SHOWN) -> Table:
    """Arms and the metrics one looks at first, with their intervals."""
    arms, names = record.measured, named(record)
    known = {metric for arm in arms.values() for metric in arm.metrics if arm.estimate(metric) is not None}
    columns = [metric for metric in shown if metric in known and not (metric == "judge.mean" and "judge.class" in known)]
    priced = any(arm.macs for arm in arms.values())
    rows: list[tuple[Cell, ...]] = []
    for name, arm in arms.items():
        cost = (arm.cost,) if priced else ()
        rows.append((series.weighted(names[name], arm), *cost, *(ranged(arm.metrics.get(metric)) for metric in columns)))
    return Table("quality", ("arm", *(("MACs",) if priced else ()), *map(meaning.label, columns)), rows)


def metrics(record: Record) -> Table:
    """Every metric of every arm."""
    rows: list[tuple[Cell, ...]] = [
        (name, metric, found.estimate, found.low, found.high, found.n, found.note)
        for name, arm in record.measured.items()
        for metric, found in arm.metrics.items()
    ]
    return Table("metrics", ("arm", "metric", "estimate", "low", "high", "samples", "note"), rows)
