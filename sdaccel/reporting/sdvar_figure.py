"""The figure of SDVAR's claims: a panel per promised number, a row per arm, the promised region shaded."""

from typing import TYPE_CHECKING

from sdaccel.errors import BadInput
from sdaccel.records.view import Record
from sdaccel.reporting import style
from sdaccel.reporting.sdvar_bounds import compute_bound, latency_bound, official, work_of
from sdaccel.reporting.sdvar_claims import accelerated
from sdaccel.reporting.sdvar_promises import HOLDS, INFINITE, PROMISES, REFUTED, Promise

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {HOLDS: style.GREEN, REFUTED: style.VERMILLION}


def sdvar_claims(record: Record) -> "Figure":
    """Measured values with their intervals, and for the speed-up what d16 and d30 could reach."""
    from matplotlib.figure import Figure

    arms = accelerated(record)
    if not arms:
        raise BadInput("figure sdvar_claims needs arms with two models, such as strategy: handover.")
    figure = Figure(figsize=(style.PAGE, 1.3 + 0.2 * len(arms)))
    panels = figure.subplots(1, len(PROMISES), sharey=True)
    for axes, promise in zip(panels, PROMISES, strict=True):
        _panel(axes, record, promise)
    panels[0].set_yticks(range(len(arms)), list(arms.values()))
    panels[0].set_ylim(len(arms) - 0.4, -0.6)
    handles = {name: h for axes in panels for h, name in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles, loc="outside lower left", ncols=6)
    style.question(figure, record, "Which of the seed's promises does each run keep?")
    return figure


def _panel(axes: "Axes", record: Record, promise: Promise) -> None:
    axes.set_title(f"{promise.name}\n{promise.says}", fontsize=6.5)
    points = []
    for row, name in enumerate(accelerated(record)):
        found = promise.measure(record, name)
        if found is None:
            continue
        verdict = promise.verdict(found)
        colour = COLOURS.get(verdict, style.GREY)
        if found.low is not None and found.high is not None:
            axes.plot([found.low, found.high], [row, row], color=colour, linewidth=2, solid_capstyle="butt")
        axes.plot(found.estimate, row, "o", color=colour, markersize=4, label=f"measured: {verdict}")
        points += [found.estimate, found.low or found.estimate, found.high or found.estimate]
    if promise.name == "speed-up":
        points += _bounds(axes, record)
    if not points:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=style.GREY)
        axes.set_xticks([])
        return
    edges = [edge for edge in (promise.at_least, promise.at_most) if abs(edge) < INFINITE]
    low, high = min(*points, *edges), max(*points, *edges)
    room = 0.12 * (high - low or 1)
    axes.set_xlim(low - room, high + room)
    axes.axvspan(max(promise.at_least, low - room), min(promise.at_most, high + room), color=style.PALE, linewidth=0, zorder=0)


def _bounds(axes: "Axes", record: Record) -> list[float]:
    target, draft = official()
    points = []
    for row, name in enumerate(accelerated(record)):
        work = work_of(record.arms[name].samples)
        for marker, of, label in (("|", latency_bound, "d16, d30: by latency"), ("x", compute_bound, "by arithmetic")):
            points.append(of(work, target=target, draft=draft))
            axes.plot(points[-1], row, marker, color="black", markersize=5, linestyle="none", label=label)
    return points
