"""What the metrics of a study say: a row per arm for reading, and every figure, or the reason why it is missing."""

from sdaccel.metrics.metric import ranked
from sdaccel.records.view import Record
from sdaccel.reporting import series
from sdaccel.reporting.cells import Cell, Table, ranged
from sdaccel.reporting.registry import table


def named(record: Record) -> dict[str, str]:
    """Measured arm -> the shortest name that tells it from the others; of a control, that a bug was planted."""
    labels = series.labels(record.measured)
    return {name: f"planted: {label}" if record.arms[name].control else label for name, label in labels.items()}


@table(name="quality", place=80)
def quality(record: Record, *, screen: bool = False) -> Table:
    """Arms and the metrics for reading, or for the screen; without the judge's mean where its class says the same."""
    arms, names = record.measured, named(record)
    known = {metric for arm in arms.values() for metric in arm.metrics if arm.estimate(metric) is not None}
    shown = [metric for metric in ranked() if metric.name in known and (metric.screen or not screen)]
    shown = [metric for metric in shown if not (metric.name == "judge.mean" and "judge.class" in known)]
    priced = any(arm.macs for arm in arms.values())
    rows: list[tuple[Cell, ...]] = []
    for name, arm in arms.items():
        cost = (arm.cost,) if priced else ()
        rows.append((series.weighted(names[name], arm), *cost, *(ranged(arm.metrics.get(metric.name)) for metric in shown)))
    return Table(("arm", *(("MACs",) if priced else ()), *(metric.label for metric in shown)), rows)


@table(name="metrics", place=190)
def metrics(record: Record) -> Table:
    """Every metric of every arm."""
    rows: list[tuple[Cell, ...]] = [
        (name, metric, found.estimate, found.low, found.high, found.n, found.note)
        for name, arm in record.measured.items()
        for metric, found in arm.metrics.items()
    ]
    return Table(("arm", "metric", "estimate", "low", "high", "samples", "note"), rows)
