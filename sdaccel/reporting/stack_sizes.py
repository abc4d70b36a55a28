"""The figure of stack_diagnostics: where features and slopes of a run leave those of the unaccelerated one."""

from typing import TYPE_CHECKING, Any

import numpy as np

from sdaccel.records.outline import Outline
from sdaccel.records.view import Arm, Record
from sdaccel.reporting import style
from sdaccel.reporting.registry import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEATURE, FORECAST, SLOPE = range(3)
"""First axis of what a watched arm keeps."""


def watched(outline: Outline) -> str | None:
    arms = outline.keeping("diagnostics.sizes")
    return None if outline.baseline in arms and len(arms) > 1 else "study.baseline and other arms with watch: true."


@figure(needs=watched)
def stack_sizes(record: Record) -> "Figure":
    """Sizes of features at full, sparse and forecast steps, then of the slopes forecasts are made with; over the baseline's."""
    arms, baseline = {name: arm for name, arm in record.arms.items() if "sizes" in arm.diagnostics}, record.study.baseline
    normal = _numbers(arms[baseline])
    figure = style.blank(style.PAGE, 3.3)
    features, slopes = figure.subplots(1, 2)
    others = {name: arm for name, arm in arms.items() if name != baseline}
    for (name, arm), colour in zip(others.items(), style.CYCLE * 2, strict=False):
        _arm(features, slopes, arm, normal, name=f"planted: {name}" if arm.control else name, colour=colour)
    for axes in (features, slopes):
        axes.axhline(1, color=style.GREY, linewidth=0.8, zorder=0)
        axes.set_xlabel("step")
    slopes.set_yscale("log")
    style.plain_logarithm(slopes.yaxis)
    features.set_title("size of features / the baseline's at the same step")
    slopes.set_title("size of slopes between anchors / the baseline's")
    handles = style.handles([features])
    for label, filled in (("full", True), ("sparse", False)):
        handles[f"anchor, {label}"] = _marker(filled)
    style.legend(figure, handles, columns=4)
    style.question(figure, record, "Where do features and slopes leave those of the unaccelerated run?")
    return figure


def _arm(features: "Axes", slopes: "Axes", arm: Arm, normal: np.ndarray, *, name: str, colour: str) -> None:
    sizes, exact = _numbers(arm), np.array([np.nan if e is None else e for e in arm.diagnostics["exact"]], dtype=float)
    steps = np.arange(sizes.shape[-1])
    seen = np.where(np.isnan(sizes[FEATURE]), sizes[FORECAST], sizes[FEATURE])
    features.plot(steps, _ratio(seen, normal[FEATURE]), color=colour, linewidth=0.9, label=name)
    slope = _ratio(sizes[SLOPE], normal[SLOPE])
    known = ~np.isnan(slope)
    slopes.plot(steps[known], slope[known], color=colour, linewidth=0.9)
    for axes, values in ((features, _ratio(sizes[FEATURE], normal[FEATURE])), (slopes, slope)):
        if len(steps) > 2 * np.sum(~np.isnan(exact)):  # where most steps are anchors, markers would hide the line
            for full, face in ((1.0, colour), (0.0, "white")):
                at = exact == full
                axes.plot(steps[at], values[at], "o", color=colour, markerfacecolor=face, markersize=3.2, markeredgewidth=0.8)


def _ratio(sizes: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Geometric mean over features, by step; nothing where a slope is exactly 0, which has no logarithm."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(sizes / normal)
    logs[~np.isfinite(logs)] = np.nan
    known = ~np.isnan(logs).all(0)
    out = np.full(sizes.shape[-1], np.nan)
    out[known] = np.exp(np.nanmean(logs[:, known], 0))
    return out


def _numbers(arm: Arm) -> np.ndarray:
    """(3, F, T)"""
    return np.array(arm.diagnostics["sizes"], dtype=float)  # None becomes NaN


def _marker(filled: bool) -> Any:
    from matplotlib.lines import Line2D

    face = style.GREY if filled else "white"
    return Line2D([], [], linestyle="none", marker="o", color=style.GREY, markerfacecolor=face, markersize=3.2)
