"""Who comes nearest at equal evaluations of the model: to the baseline, which forecasts imitate, and to the exact solution.

A solver and a strategy pay in the same coin, so both stand on one axis. The baseline misses the exact solution by a distance of
its own, and an arm may lie nearer to that than what it imitates.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sdaccel.metrics.metric import of
from sdaccel.records.outline import Outline
from sdaccel.records.view import Record
from sdaccel.reporting import style
from sdaccel.reporting.cells import Cell, Table, ranged
from sdaccel.reporting.methods import Method, methods, within
from sdaccel.reporting.quality import named
from sdaccel.reporting.registry import figure, table, with_figure
from sdaccel.reporting.winners import best_of, difference, level

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAIRS = (("psnr", "psnr_truth"), ("perceptual", "perceptual_truth"))
"""A row each: to the baseline, to the exact solution."""
COLOURS = (*style.CYCLE, "#222222", "#8A6D3B", "#7F3C8D", "#7FB800")
DASHES = ("-", (0, (3, 1.2)), (0, (1, 1)))
SPREAD = 0.006
"""Share of its place by which a method is moved aside, so that intervals of one cost can be told apart."""
HEIGHT, LEGEND = 2.1, 0.8
"""Inches: a row, and the legend."""
COLUMNS = ("evaluations at most", "metric", "best", "reaches", "next", "next reaches", "better by", "winner", "level")
"""`better by` is in pairs; without a winner its interval holds 0. `level`: all that cannot be told from the best."""


def two_referred(outline: Outline) -> str | None:
    apart = (outline.study.baseline, *outline.study.truth)
    arms = [arm for arm in outline.measured if arm.priced and arm.template not in apart]
    if len(arms) > 1 and all({*PAIRS[0]} <= arm.metrics for arm in arms):
        return None
    return "two or more arms with distances to the baseline and to the exact solution; set study.truth and metrics=pairs."


@figure(needs=two_referred)
def evaluations(record: Record) -> "Figure":
    """Distances with their 95 % intervals over evaluations; solvers have circles, strategies triangles."""
    counts = counted(record)
    rows = [pair for pair in PAIRS if all({*pair} <= record.arms[name].metrics.keys() for name in counts)]
    lines = methods(record, counts)
    figure = style.blank(style.PAGE, 0.3 + HEIGHT * len(rows) + LEGEND)
    axes = figure.subplots(len(rows), 2, squeeze=False, sharex=True, sharey="row")
    for place, pair in enumerate(rows):
        for side, metric in enumerate(pair):
            _panel(axes[place][side], record, metric, lines, counts)
            own = record.arms[record.study.baseline].metrics.get(pair[1])
            if own and own.estimate is not None:
                axes[place][side].axhline(own.estimate, color=style.GREY, linewidth=0.8, linestyle=":", label=_between(record))
    for side in (0, 1):
        axes[-1][side].set_xlabel("evaluations of the model")
    handles = style.handles(figure.axes)
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=4)
    figure.suptitle(style.titled(record, "How near does each method come at its evaluations, and to what?"), x=0.01, ha="left")
    return figure


def _between(record: Record) -> str:
    return f"{record.study.baseline} to {record.study.truth[0]}"


def counted(record: Record) -> dict[str, float]:
    """Evaluations of every arm that is compared; parts of one cannot be counted as none."""
    apart = (record.study.baseline, *record.study.truth)
    return {
        name: arm.kinds["full"]
        for name, arm in record.measured.items()
        if arm.template not in apart and "full" in arm.kinds and not arm.control and arm.kinds.keys() <= {"full", "forecast"}
    }


def _panel(axes: "Axes", record: Record, metric: str, lines: list[Method], counts: Mapping[str, float]) -> None:
    from matplotlib.ticker import NullFormatter

    colours = dict(zip(dict.fromkeys(line.template for line in lines), COLOURS * 4, strict=False))
    drawn: dict[str, int] = {}
    for i, line in enumerate(lines):
        dash = DASHES[drawn.setdefault(line.template, 0) % len(DASHES)]
        drawn[line.template] += 1
        aside = 1 + SPREAD * (i - (len(lines) - 1) / 2)
        found = [record.arms[name].metrics[metric] for name in line.arms]
        x, colour = [counts[name] * aside for name in line.arms], colours[line.template]
        marker = "o" if line.rival else "^"
        y = [record.arms[name].known(metric) for name in line.arms]
        axes.plot(x, y, marker=marker, markersize=3, linewidth=0.9, color=colour, linestyle=dash, label=line.name)
        for place, each in zip(x, found, strict=True):
            if each.ends:
                axes.plot([place] * 2, each.ends, color=colour, linewidth=0.7, alpha=0.6)
    axes.set_xscale("log")
    ticks = budgets(counts)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel(of(metric).axis)
    if of(metric).lower:
        axes.set_yscale("log")
        style.plain_logarithm(axes.yaxis)


def budgets(counts: Mapping[str, float]) -> list[float]:
    """Evaluations that several arms have in common, dearest first."""
    numbers = list(counts.values())
    return sorted({number for number in numbers if numbers.count(number) > 1}, reverse=True)


@table(name="evaluations", place=95, needs=with_figure("evaluations"))
def leaders(record: Record) -> Table:
    """A row per number of evaluations and metric."""
    counts = counted(record)
    rows: list[tuple[Cell, ...]] = []
    for budget in budgets(counts):
        for metric in (metric for pair in PAIRS for metric in pair):
            known = [name for name in within(list(counts), counts, budget) if record.arms[name].estimate(metric) is not None]
            if len(known) > 1:
                rows.append((int(budget), of(metric).label, *_row(record, metric, known)))
    return Table(COLUMNS, rows)


def _row(record: Record, metric: str, affordable: Sequence[str]) -> tuple[Cell, ...]:
    names, best = named(record), best_of(record, metric, affordable)
    rest = [name for name in affordable if name != best]
    second = best_of(record, metric, rest)
    gap = difference(record, metric, best, second)
    return (
        names[best],
        ranged(record.arms[best].metrics[metric]),
        names[second],
        ranged(record.arms[second].metrics[metric]),
        gap,
        "neither" if level(gap) else names[best],
        ", ".join(names[name] for name in rest if level(difference(record, metric, best, name))) or "no other",
    )
