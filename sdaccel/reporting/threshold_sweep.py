"""Reuse and quality against what was swept of a stage cache: the threshold, the budget, and which of them is recommended."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sdaccel.metrics.metric import of, ranked
from sdaccel.records.calibration import recommended
from sdaccel.records.outline import Outline
from sdaccel.records.view import Arm, Record
from sdaccel.reporting import style
from sdaccel.reporting.registry import figure
from sdaccel.reporting.stage_cache import cached, maps

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SWEPT = {"threshold": "threshold", "reuse_budget": "share of the eligible sublayers, likest first"}
PANELS = 4
"""Metrics that are drawn, at most: first those that are judged."""


def swept(outline: Outline) -> str | None:
    if lacks := cached(outline):
        return lacks
    lists = any(key in arm.point for arm in outline.honest for key in SWEPT)
    return None if lists else f"arms with a list of {' or '.join(SWEPT)}."


@figure(needs=swept)
def threshold_sweep(record: Record) -> "Figure":
    """A column per swept option: shares that were reused, the MAC ceiling, then metrics with the baseline's and the margin."""
    hits = maps(record.arms, "reuse")
    columns = {key: own for key in SWEPT if (own := _over(key, [record.arms[name] for name in hits]))}
    metrics = _metrics(record, [arm for own in columns.values() for arm in own])
    chosen = recommended(record) if record.study.recommend.arms else None
    figure = style.blank(style.PAGE, 0.9 + 1.3 * (2 + len(metrics)))
    panels = figure.subplots(2 + len(metrics), len(columns), squeeze=False, sharey="row", sharex="col")
    for column, (key, own) in zip(panels.T, columns.items(), strict=True):
        x = [arm.point[key] for arm in own]
        _reuse(column[0], x, [hits[arm.name] for arm in own])
        _ceiling(column[1], x, own)
        for axes, metric in zip(column[2:], metrics, strict=True):
            _quality(axes, record, metric, x, own)
        if chosen in own:
            for axes in column:
                axes.axvline(chosen.point[key], color=style.GREEN, linewidth=1, linestyle=(0, (4, 2)), label="recommended")
        column[-1].set_xlabel(SWEPT[key])
        column[-1].xaxis.set_major_formatter("{x:g}")
    for axes, label in zip(panels[:, 0], ("share", "MACs, the baseline's over own", *map(_axis, metrics)), strict=True):
        axes.set_ylabel(label if "\n" in label else textwrap.fill(label, 19))
    style.legend(figure, style.handles(panels.flat), columns=4)
    verdict = f"Recommended: {chosen.name}" if chosen else "No arm is recommended" if record.study.recommend.arms else ""
    style.question(figure, record, f"What do thresholds reuse, and what does that cost? {verdict}")
    return figure


def _over(key: str, arms: Sequence[Arm]) -> list[Arm]:
    """Those that sweep it, in its order."""
    return sorted((arm for arm in arms if key in arm.point), key=lambda arm: float(arm.point[key]))


def _axis(metric: str) -> str:
    name, better = of(metric).axis.split("  (")
    return f"{textwrap.fill(name, 19)}\n({better}"


def _metrics(record: Record, arms: Sequence[Arm]) -> list[str]:
    """Those that are judged, then others of quality over cost that all arms have."""
    judged = [check.check.partition(" ")[2] for check in record.checks if check.arm in {arm.name for arm in arms}]
    names = dict.fromkeys([*filter(None, judged), *(metric.name for metric in ranked("panel"))])
    return [name for name in names if all(arm.estimate(name) is not None for arm in arms)][:PANELS]


def _reuse(axes: "Axes", x: Sequence[float], hits: Sequence[np.ndarray]) -> None:
    eligible = [np.nansum(each) / max(int(np.isfinite(each).sum()), 1) for each in hits]
    axes.plot(x, eligible, "o-", color=style.BLUE, markersize=2.8, label="reused of what is eligible")
    axes.plot(x, [np.nansum(each) / each.size for each in hits], "s-", color=style.SKY, markersize=2.8, label="reused of all")
    axes.set_ylim(-0.03, 1.03)


def _ceiling(axes: "Axes", x: Sequence[float], arms: Sequence[Arm]) -> None:
    axes.plot(x, [arm.mac_ceiling or np.nan for arm in arms], "o-", color=style.VERMILLION, markersize=2.8)
    axes.axhline(1, color=style.GREY, linewidth=0.8, label="the baseline", zorder=0)


def _quality(axes: "Axes", record: Record, metric: str, x: Sequence[float], arms: Sequence[Arm]) -> None:
    axes.plot(x, [arm.known(metric) for arm in arms], "o-", color="black", markersize=2.8)
    for place, arm in zip(x, arms, strict=True):
        if ends := arm.metrics[metric].ends:
            axes.plot([place, place], ends, color="black", linewidth=1.2, alpha=0.4)
    baseline = record.arms[record.study.baseline].estimate(metric)
    if baseline is None:
        return
    axes.axhline(baseline, color=style.GREY, linewidth=0.8, label="the baseline", zorder=0)
    own = {arm.name for arm in arms}
    margins = [c.bound for c in record.checks if c.check == f"non_inferior {metric}" and c.arm in own]
    if margins:
        worse = baseline + margins[0] if of(metric).lower else baseline - margins[0]
        axes.axhspan(baseline, worse, color=style.GREEN, alpha=0.12, linewidth=0, label="within the margin")
