"""The figure of SDVAR's claims: a panel per promised number, a row per arm, the promised region shaded."""

from typing import TYPE_CHECKING

from sdaccel.records.outline import Outline
from sdaccel.records.view import Record
from sdaccel.reporting import style
from sdaccel.reporting.promised import HOLDS, INFINITE, REFUTED
from sdaccel.reporting.registry import figure
from sdaccel.reporting.sdvar_bounds import SCALES, compute_bound, latency_bound, official, work_of
from sdaccel.reporting.sdvar_claims import accelerated
from sdaccel.reporting.sdvar_promises import PROMISES, Promise

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = [p for i, p in enumerate(PROMISES) if p.measure not in [earlier.measure for earlier in PROMISES[:i]]]
"""The first promise of every number that was measured."""
COLOURS = {HOLDS: style.GREEN, REFUTED: style.VERMILLION}


def two_models(outline: Outline) -> str | None:
    if any("target_calls" in arm.stats and len(arm.scales) == SCALES for arm in outline.arms.values()):
        return None
    return f"arms with two models of {SCALES} scales, such as strategy: handover on generator=var_mini_target."


@figure(needs=two_models)
def sdvar_claims(record: Record) -> "Figure":
    """Measured values with their intervals, and for the speed-up what d16 and d30 could reach."""
    arms = accelerated(record)
    figure = style.blank(style.PAGE, 1.3 + 0.2 * len(arms))
    panels = figure.subplots(1, len(PANELS), sharey=True)
    for axes, promise in zip(panels, PANELS, strict=True):
        _panel(axes, record, promise)
    panels[0].set_yticks(range(len(arms)), list(arms.values()))
    panels[0].set_ylim(len(arms) - 0.4, -0.6)
    style.legend(figure, style.handles(panels), columns=6)
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
