"""The figure that the project is about: what quality an arm reaches, and what it pays for it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sdaccel.metrics.metric import of
from sdaccel.records.outline import Outline
from sdaccel.records.view import Record
from sdaccel.reporting import style
from sdaccel.reporting.labels import name_points
from sdaccel.reporting.quality import named
from sdaccel.reporting.registry import figure
from sdaccel.reporting.timing import rounds_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHOICES = (("judge.class", "judge.mean", "clip_score"), ("fid", "kid", "cmmd"))
"""One panel each: the first of these that the study has with a value for every arm."""
TITLE, PANEL, BELOW, LEFT, RIGHT = 0.3, 2.0, 0.36, 0.55, 0.06
"""Inches: the title, a panel, and the room around it."""
MORE = ("#222222", "#8A6D3B")
"""Colours beyond the palette, for studies of many arms; every point has its name."""
NAMED = 12
"""Arms whose names find room."""
WIDE = 20
"""Ratio of values from which an axis is logarithmic."""


@dataclass(frozen=True)
class Axis:
    """What an arm pays."""

    label: str
    of: dict[str, float]
    spans: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """10th and 90th percentile over rounds, where it was measured."""


def few_priced(outline: Outline) -> str | None:
    arms = outline.measured
    shared = [metric for choice in CHOICES for metric in choice if all(metric in arm.metrics for arm in arms)]
    if shared and 1 < sum(arm.priced for arm in arms) <= NAMED:
        return None
    return (
        f"2 to {NAMED} arms with MACs, and a metric that all arms have; set metrics=world, and for more arms figures=[pareto]."
    )


@figure(needs=few_priced, unasked=lambda outline: "pareto" not in outline.study.figures)
def quality_cost(record: Record) -> "Figure":
    """Metrics with their intervals over MACs, and over measured time where there is a timing; one point per arm."""
    rows, columns = _metrics(record), prices(record)
    figure = style.blank(style.PAGE if len(columns) > 1 else 0.62 * style.PAGE, TITLE + len(rows) * (PANEL + BELOW))
    figure.set_layout_engine("none")
    for i, metric in enumerate(rows):
        for j, axis in enumerate(columns):
            axes = _place(figure, i, j, columns=len(columns))
            _panel(axes, record, metric, axis)
            axes.set_xlabel(axis.label if i == len(rows) - 1 else "")
            axes.set_ylabel("" if j else of(metric).axis)
    height = figure.get_figheight()
    title = style.titled(record, "What quality does each arm reach, and at what cost?")
    figure.suptitle(title, x=0.01, y=1 - 0.06 / height, ha="left", va="top")
    return figure


def _place(figure: "Figure", row: int, column: int, *, columns: int) -> "Axes":
    """Axes at a fixed place: names are laid out beside points before the figure is drawn."""
    width, height = figure.get_size_inches()
    wide = (width - RIGHT) / columns
    bottom = height - TITLE - (row + 1) * (PANEL + BELOW) + BELOW
    return figure.add_axes(((column * wide + LEFT) / width, bottom / height, (wide - LEFT) / width, PANEL / height))


def _metrics(record: Record) -> list[str]:
    arms = record.measured.values()
    whole = [[m for m in choice if all(arm.estimate(m) is not None for arm in arms)] for choice in CHOICES]
    return [found[0] for found in whole if found]


def prices(record: Record) -> list[Axis]:
    """MACs relative to the baseline, then milliseconds per sample, median over rounds; the exact solution is no way to save."""
    timed, size = record.timing.arms, record.timing.batch_size
    shares = {name: arm.cost for name, arm in record.measured.items() if arm.cost and arm.template not in record.study.truth}
    out = [Axis("MACs relative to the baseline, decode out", shares)]
    seconds = {name: timed[name].seconds for name in shares if name in timed}
    if len(seconds) < 2:
        return out
    ms = 1e3 / size
    label = f"ms per sample, decode in; p10 to p90, {rounds_of(s.n for s in seconds.values())}"
    spans = {name: (ms * s.p10, ms * s.p90) for name, s in seconds.items()}
    return [*out, Axis(label, {name: ms * s.p50 for name, s in seconds.items()}, spans)]


def _panel(axes: "Axes", record: Record, metric: str, axis: Axis) -> None:
    arms, names = record.measured, named(record)
    colours = dict(zip(dict.fromkeys(arms[name].template for name in axis.of), (*style.CYCLE, *MORE) * 4, strict=False))
    points = []
    for template, colour in colours.items():
        own = [name for name in axis.of if arms[name].template == template]
        place = [(axis.of[name], arms[name].known(metric)) for name in own]
        axes.plot(*zip(*sorted(place), strict=True), color=colour, linewidth=0.6, alpha=0.6)
        for name, (x, y) in zip(own, place, strict=True):
            if ends := arms[name].metrics[metric].ends:
                axes.plot([x, x], ends, color=colour, linewidth=1.5, solid_capstyle="butt")
            if name in axis.spans:
                axes.plot(axis.spans[name], [y, y], color=colour, linewidth=1.5, solid_capstyle="butt")
            axes.plot(x, y, "o", color=colour, markersize=3.4)
            points.append((x, y, names[name], colour))
    free = {name: arm.known(metric) for name, arm in arms.items() if not arm.macs}
    for y in free.values():
        axes.axhline(y, color=style.GREY, linewidth=0.8, linestyle=(0, (4, 2)), zorder=0)
    _scale(axes, [y for _, y, _, _ in points] + list(free.values()))
    axes.set_xlim(0, 1.22 * max(axis.of.values()))
    name_points(axes, points, size=6.5)
    for y, alike in _close(axes, {names[name]: y for name, y in free.items()}):
        axes.annotate(", ".join(alike), (0, y), xytext=(2, 2), textcoords="offset points", fontsize=6.5, color=style.GREY)


def _close(axes: "Axes", lines: dict[str, float]) -> list[tuple[float, list[str]]]:
    """Lines too close for two names share one, above the upper."""
    out: list[tuple[float, list[str]]] = []
    for name, y in sorted(lines.items(), key=lambda line: line[1]):
        near = (
            out
            and axes.transData.transform((0, y))[1] - axes.transData.transform((0, out[-1][0]))[1] < 8 * axes.figure.dpi / 72
        )
        out[-1:] = [(y, [*out[-1][1], name])] if near else [*out[-1:], (y, [name])]
    return out


def _scale(axes: "Axes", values: list[float]) -> None:
    """Logarithmic with a linear piece around 0 where values differ by orders of magnitude: an unbiased FID may be below 0."""
    from matplotlib.ticker import FormatStrFormatter

    sizes = sorted(abs(v) for v in values if v)
    if sizes and sizes[-1] > WIDE * sizes[len(sizes) // 4]:
        unit = 10 ** math.floor(math.log10(max(sizes[len(sizes) // 4], sizes[-1] / 1000)))
        axes.set_yscale("symlog", linthresh=unit, linscale=0.5)
        axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.margins(y=0.12)
    axes.set_ylim(axes.get_ylim())  # final: names are placed by it
