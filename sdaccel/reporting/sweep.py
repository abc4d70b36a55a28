"""The figure of hicache_sweep: how close to the unaccelerated pictures every sigma comes, a panel per interval."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sdaccel.metrics.metric import of
from sdaccel.records.outline import Outline
from sdaccel.records.view import Record
from sdaccel.reporting import style
from sdaccel.reporting.methods import rivals
from sdaccel.reporting.registry import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

X, PANEL = "hicache_scale", "interval"
METRICS = ("perceptual", "judge.mean")
NEAR = 0.1
"""Relative difference of cost up to which an arm without a sigma is drawn beside those that have one."""
ORDER = {1: 1.3, 2: 0.8, 3: 0.5}
"""Width of a line by max_order."""


def over_sigma(outline: Outline) -> str | None:
    arms = [arm for arm in outline.measured if X in arm.point]
    if arms and any(all(metric in arm.metrics for arm in arms) for metric in METRICS):
        return None
    return f"arms with a list of {X}, and metrics; set metrics=world."


@figure(needs=over_sigma)
def sweep(record: Record) -> "Figure":
    """Lines over sigma: colour is granularity, dashes are the clock, the thin line is the higher order."""
    arms = record.measured
    swept = [name for name, arm in arms.items() if X in arm.point]
    rows = [m for m in METRICS if all(arms[name].estimate(m) is not None for name in swept)]
    columns = sorted({arms[name].point.get(PANEL, 0) for name in swept})
    figure = style.blank(style.PAGE, 0.9 + 1.9 * len(rows))
    panels = figure.subplots(len(rows), len(columns), sharey="row", sharex=True, squeeze=False)
    for i, metric in enumerate(rows):
        for axes, interval in zip(panels[i], columns, strict=True):
            own = [name for name in swept if arms[name].point.get(PANEL, 0) == interval]
            _lines(axes, record, metric, own)
            _references(axes, record, metric, own)
            axes.set_title(f"interval {interval}" if i == 0 and interval else "")
            axes.set_xlabel("σ" if i == len(rows) - 1 else "")
        panels[i][0].set_ylabel(of(metric).axis)
        if of(metric).lower:
            for axes in panels[i]:
                axes.set_yscale("log")
                style.plain_logarithm(axes.yaxis, subs=(1, 2, 3, 5))
    style.legend(figure, style.handles(panels.flat), columns=3, handlelength=2.6)
    style.question(figure, record, "Which σ, order, clock and granularity keep pictures closest to the unaccelerated ones?")
    return figure


def _lines(axes: "Axes", record: Record, metric: str, names: Sequence[str]) -> None:
    arms = record.measured
    groups: dict[tuple[Any, ...], list[str]] = {}
    for name in names:
        point = arms[name].point
        groups.setdefault((point.get("granularity"), point.get("clock"), point.get("max_order")), []).append(name)
    colours = dict(zip(dict.fromkeys(group[0] for group in groups), style.CYCLE * 2, strict=False))
    for (granularity, clock, order), own in groups.items():
        said = {"granularity": granularity, "clock": clock, "order": order}
        axes.plot(
            [arms[name].point[X] for name in own],
            [arms[name].known(metric) for name in own],
            color=colours[granularity],
            linestyle=(0, (2, 1)) if clock == "time" else "-",
            linewidth=ORDER.get(order, 1.0),
            marker="o",
            markersize=1.5 + ORDER.get(order, 1.0),
            label=", ".join(f"{key} {value}" for key, value in said.items() if value is not None),
        )


def _references(axes: "Axes", record: Record, metric: str, names: Sequence[str]) -> None:
    """Arms of the same cost that have no sigma, with their intervals."""
    cost = max(record.arms[name].macs for name in names)
    trivial = rivals(record)
    for name, arm in record.measured.items():
        if X in arm.point or not arm.macs or abs(arm.macs / cost - 1) > NEAR or metric not in arm.metrics:
            continue
        found = arm.metrics[metric]
        colour, dash = ("black", "-") if name in trivial else (style.GREY, (0, (4, 2)))
        axes.axhline(arm.known(metric), color=colour, linewidth=0.9, linestyle=dash, label=arm.template, zorder=0)
        if found.ends:
            axes.axhspan(*found.ends, color=colour, alpha=0.08, linewidth=0)
