"""The figure of a study with many arms: one line per method, over cost, beside the rivals that merely take fewer steps.

A method whose line lies on the worse side of the rivals' buys nothing.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sdaccel.metrics.metric import Metric, ranked
from sdaccel.records.outline import Outline
from sdaccel.records.view import Record
from sdaccel.reporting import style
from sdaccel.reporting.methods import Method, methods
from sdaccel.reporting.quality_cost import Axis, prices
from sdaccel.reporting.registry import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DASHES = ("-", (0, (3, 1.2)), (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (6, 2)))
"""Methods of one template: orders, modes of a stack."""
PALETTE = (*style.CYCLE, "#8A6D3B", "#7F3C8D", "#7FB800")
TITLE, PANEL, BELOW, LEFT, RIGHT, LINE = 0.3, 1.75, 0.16, 0.55, 0.06, 0.13
"""Inches: the title, a panel and the room around it, a line of the legend."""
IN_A_ROW = 4
"""Names in a row of the legend."""


def two_priced(outline: Outline) -> str | None:
    others = [arm.metrics for arm in outline.measured if arm.priced and arm.name != outline.study.baseline]
    if len(others) > 1 and any(all(metric.name in arm for arm in others) for metric in ranked("panel")):
        return None
    return "two or more arms beside the baseline with MACs and a metric that all of them have; set metrics=world."


@figure(needs=two_priced)
def pareto(record: Record) -> "Figure":
    """Rows are the metrics that every arm has, with their 95 % intervals; columns MACs and measured time."""
    costs = prices(record)
    others = [record.arms[name] for name in costs[0].of if name != record.study.baseline]
    rows = [metric for metric in ranked("panel") if all(arm.estimate(metric.name) is not None for arm in others)]
    lines = methods(record, costs[0].of)
    legend = (-(-(len(lines) + 3) // IN_A_ROW)) * LINE + 0.1
    width, height = style.PAGE, TITLE + len(rows) * (PANEL + BELOW) + 0.3 + legend
    figure = style.blank(width, height)
    figure.set_layout_engine("none")
    column = (width - RIGHT) / len(costs)
    for i, metric in enumerate(rows):
        for j, cost in enumerate(costs):
            bottom = height - TITLE - (i + 1) * (PANEL + BELOW) + BELOW
            place = ((j * column + LEFT) / width, bottom / height, (column - LEFT) / width, PANEL / height)
            axes = figure.add_axes(place)
            _panel(axes, record, metric, cost, lines)
            axes.tick_params(labelbottom=i == len(rows) - 1)
            axes.set_xlabel(cost.label if i == len(rows) - 1 else "")
            axes.set_ylabel("" if j else metric.axis)
    handles = style.handles(figure.axes)
    place_legend = (0.06 / width, 0.04 / height)
    figure.legend(handles.values(), handles, loc="lower left", ncols=IN_A_ROW, bbox_to_anchor=place_legend, borderpad=0)
    title = style.titled(record, "What does each method keep of quality at its cost? Black: rivals that merely compute less")
    figure.suptitle(title, x=0.01, y=1 - 0.06 / height, ha="left", va="top")
    return figure


def _panel(axes: "Axes", record: Record, metric: Metric, cost: Axis, lines: Sequence[Method]) -> None:
    arms, measure = record.measured, metric.name
    colours = dict(zip(dict.fromkeys(line.template for line in lines if not line.rival), PALETTE * 4, strict=False))
    drawn: dict[str, int] = {}
    for line in lines:
        group = "rivals" if line.rival else line.template
        dash = DASHES[drawn.setdefault(group, 0) % len(DASHES)]
        drawn[group] += 1
        own = [name for name in line.arms if name in cost.of]
        colour = "black" if line.rival else colours[line.template]
        found = [arms[name].metrics[measure] for name in own]
        x, y = [cost.of[name] for name in own], [arms[name].known(measure) for name in own]
        thick = 1.6 if line.rival else 1.0
        axes.plot(x, y, color=colour, linestyle=dash, linewidth=thick, marker="o", markersize=2.6, label=line.name)
        for place, each in zip(x, found, strict=True):
            if each.ends:
                axes.plot([place] * 2, each.ends, color=colour, linewidth=0.6, alpha=0.55)
    for name in (n for n in cost.of if arms[n].template == record.study.baseline and arms[n].estimate(measure) is not None):
        axes.plot(cost.of[name], arms[name].known(measure), "k*", markersize=6, label=name)
    free = [name for name, arm in arms.items() if not arm.macs and measure in arm.metrics]
    for name, dash in zip(free, (":", "--") * len(free), strict=False):
        if not metric.paired and (estimate := arms[name].estimate(measure)) is not None:
            axes.axhline(estimate, color=style.GREY, linewidth=0.8, linestyle=dash, label=name, zorder=0)
    _scale(axes, [arms[name].known(measure) for line in lines for name in line.arms if name in cost.of], cost, metric)


def _scale(axes: "Axes", values: Sequence[float], cost: Axis, metric: Metric) -> None:
    """Cost is a matter of factors. A distance that a few arms lose altogether would hide what the others do."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    ticks = [t for t in (0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 200, 500, 1000)]
    low, high = 0.9 * min(cost.of.values()), 1.1 * max(cost.of.values())
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_xticks([t for t in ticks if low <= t <= high])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    if metric.lower and min(values) > 0 and max(values) > 20 * min(values):
        axes.set_yscale("log")
        style.plain_logarithm(axes.yaxis)
