"""What the metrics of a study say: a row per arm for reading, and every figure, or the reason why it is missing."""

from collections.abc import Sequence
from typing import Any

from sdaccel.metrics import meaning
from sdaccel.reporting import series
from sdaccel.reporting.cells import Cell, Range, Table

Record = dict[str, Any]

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


def measured(record: Record) -> dict[str, dict[str, Any]]:
    """Arm -> its metrics, of the arms that have any."""
    arms = record["content"]["arms"].items()
    return {name: arm["metrics"] for name, arm in arms if arm.get("metrics")}


def named(record: Record) -> dict[str, str]:
    """Arm -> the shortest name that tells it from the others; of a control, that a bug was planted."""
    arms = record["content"]["arms"]
    labels = series.labels({name: arms[name] for name in measured(record)})
    return {name: f"planted: {label}" if arms[name]["control"] else label for name, label in labels.items()}


def quality(record: Record, *, shown: Sequence[str] = SHOWN) -> Table:
    """Arms and the metrics one looks at first, with their intervals."""
    arms, names = measured(record), named(record)
    known = {metric for found in arms.values() for metric, value in found.items() if value["estimate"] is not None}
    columns = [metric for metric in shown if metric in known and not (metric == "judge.mean" and "judge.class" in known)]
    priced = any(record["content"]["arms"][name].get("macs") for name in arms)
    rows: list[tuple[Cell, ...]] = []
    for name, found in arms.items():
        share = _share(record, name)
        rows.append((names[name], *((share,) if priced else ()), *(_range(found.get(metric)) for metric in columns)))
    return Table("quality", ("arm", *(("MACs",) if priced else ()), *map(meaning.label, columns)), rows)


def _share(record: Record, name: str) -> float | None:
    """MACs of an arm relative to the baseline's."""
    ceiling = record["content"]["arms"][name]["mac_ceiling"]
    return 1 / ceiling if ceiling else None


def _range(found: dict[str, Any] | None) -> Cell:
    if found is None or found["estimate"] is None:
        return None
    return Range(found["estimate"], found["low"], found["high"])


def metrics(record: Record) -> Table:
    """Every metric of every arm."""
    rows: list[tuple[Cell, ...]] = [
        (name, metric, found["estimate"], found["low"], found["high"], found["n"], found.get("note", ""))
        for name, arm in measured(record).items()
        for metric, found in arm.items()
    ]
    return Table("metrics", ("arm", "metric", "estimate", "low", "high", "samples", "note"), rows)
