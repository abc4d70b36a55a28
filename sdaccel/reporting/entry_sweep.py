"""The figure of a handover: what every number of draft scales costs and keeps, one line per mask."""

from typing import TYPE_CHECKING

from sdaccel.metrics.metric import of
from sdaccel.records.outline import Outline
from sdaccel.records.view import Record
from sdaccel.reporting import style
from sdaccel.reporting.quality_cost import Axis, prices
from sdaccel.reporting.registry import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METRICS = ("fid", "kid", "judge.class")
"""Panels: those that every arm has; KID where there are too few samples for FID."""
COLOURS = dict(
    zip((3, 2, 5, 1, 4, 0), (style.BLUE, style.ORANGE, style.SKY, style.VERMILLION, style.PURPLE, style.GREY), strict=True)
)
"""By mask, the correct one first."""
APART = 0.13
"""Between two masks at one entry_num, so that their intervals stand side by side."""


def handed_over(record: Record) -> dict[str, tuple[int, int]]:
    """Arm -> (entry_num, sd_mask), of the arms that hand over."""
    return {
        name: (arm.strategy.options["entry_num"], arm.strategy.options["sd_mask"])
        for name, arm in record.arms.items()
        if arm.strategy.name == "handover" and not arm.control
    }


def scales_of(record: Record) -> int:
    """Scales of the study's generators."""
    return int(max(sum(arm.kinds.values()) for arm in record.arms.values()))


def two_entries(outline: Outline) -> str | None:
    arms = [arm for arm in outline.honest if arm.strategy.name == "handover" and arm.metrics]
    if len({arm.strategy.options["entry_num"] for arm in arms}) > 1 and outline.baseline and outline.baseline.priced:
        return None
    return "arms with strategy: handover at two or more entry_num beside study.baseline, and metrics; set metrics=world."


@figure(needs=two_entries)
def entry_sweep(record: Record) -> "Figure":
    """Quality with its intervals over the entry scale, then the price in MACs and in measured time."""
    found = record.measured
    shown = {name: point for name, point in handed_over(record).items() if name in found}
    metrics = [m for m in METRICS if all(found[name].estimate(m) is not None for name in shown)]
    metrics = [m for m in metrics if not (m == "kid" and "fid" in metrics)]
    figure = style.blank(style.PAGE, 2.9)
    panels = figure.subplots(1, len(metrics) + 1, squeeze=False)[0]
    for axes, metric in zip(panels, metrics, strict=False):
        _quality(axes, record, shown, metric)
    _price(panels[-1], record, shown)
    for axes in panels:
        axes.set_xticks(range(scales_of(record) + 1))
        axes.set_xlabel("entry_num: draft scales")
    style.legend(figure, style.handles(panels), columns=5)
    style.question(figure, record, "How many scales may a draft make, and through which mask must the target read them?")
    return figure


def _quality(axes: "Axes", record: Record, shown: dict[str, tuple[int, int]], metric: str) -> None:
    arms = record.arms
    for place, (sd_mask, colour) in enumerate(COLOURS.items()):
        own = sorted((entry, name) for name, (entry, mask) in shown.items() if mask == sd_mask and _inside(record, entry))
        if not own:
            continue
        x = [entry + APART * (place - (len(COLOURS) - 1) / 2) for entry, _ in own]
        found = [arms[name].metrics[metric] for _, name in own]
        for at, each in zip(x, found, strict=True):
            if each.ends:
                axes.plot([at, at], each.ends, color=colour, linewidth=1, alpha=0.6, solid_capstyle="butt")
        axes.plot(
            x,
            [arms[name].known(metric) for _, name in own],
            color=colour,
            marker="o",
            markersize=2.6,
            linewidth=1.6 if sd_mask == 3 else 0.8,
            label=f"mask {sd_mask}{' (correct)' if sd_mask == 3 else ''}",
        )
    for name, (entry, _) in shown.items():
        if not _inside(record, entry):
            axes.plot(entry, arms[name].known(metric), "D", color="black", markersize=3.5, label=_end(entry))
    axes.set_ylabel(of(metric).axis)


def _inside(record: Record, entry: int) -> bool:
    """Both models make scales."""
    return 0 < entry < scales_of(record)


def _end(entry: int) -> str:
    return "target alone (0), draft alone (all scales)" if entry == 0 else "_end"


def _price(axes: "Axes", record: Record, shown: dict[str, tuple[int, int]]) -> None:
    """Of the correct mask: the target reads what the draft made, so its arithmetic is not saved."""
    baseline = record.study.baseline
    for cost, colour, name in zip(
        prices(record), (style.GREEN, "black"), ("MACs, decode out", "measured time, decode in"), strict=False
    ):
        own = _relative(cost, baseline, {arm: entry for arm, (entry, mask) in shown.items() if mask == 3})
        axes.plot(*zip(*own, strict=True), color=colour, marker="s", markersize=2.6, label=f"{name}, mask 3")
    axes.axhline(1, color=style.GREY, linewidth=0.8, linestyle=(0, (4, 2)))
    axes.set_ylim(bottom=0)
    axes.set_ylabel(f"cost relative to the {baseline}")


def _relative(cost: Axis, baseline: str, entries: dict[str, int]) -> list[tuple[int, float]]:
    return sorted((entry, cost.of[name] / cost.of[baseline]) for name, entry in entries.items() if name in cost.of)
