"""Errors that forecasts would have had along the unaccelerated run, from what strategy `collect` keeps of it."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from sdaccel.records.outline import Outline
from sdaccel.records.view import Record
from sdaccel.reporting import style
from sdaccel.reporting.registry import figure
from sdaccel.strategies.forecast.collect import squared_error
from sdaccel.strategies.forecast.weights import (
    damped_coefficients,
    forecast_weights,
    hermite_coefficients,
    newton_weights,
    taylor_coefficients,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Weigh = Callable[[Sequence[float], float], list[float]]
"""(positions of the anchors, newest first; position of the step) -> their weights."""

PUBLISHED, TAYLOR = 0.5, 0.5**0.5
"""HiCache's sigma, and the one at which damping is none."""
SIGMAS = [0.02 * i for i in range(1, 51)]


def mode(order: int, coefficients: Callable[..., list[float]] | None, **options: float) -> Weigh:
    """A forecast of this order; without coefficients Newton's."""

    def weigh(anchors: Sequence[float], at: float) -> list[float]:
        used = anchors[: order + 1]
        found = (
            newton_weights(used, at) if coefficients is None else forecast_weights(used, at, partial(coefficients, **options))
        )
        return found + [0.0] * (len(anchors) - len(used))

    return weigh


MODES: dict[str, Weigh] = {
    "taylor, order 1": mode(1, taylor_coefficients),
    "taylor, order 2": mode(2, taylor_coefficients),
    "newton, order 2": mode(2, None),
    "hicache σ=0.5, order 1 (= damped)": mode(1, hermite_coefficients, scale=PUBLISHED),
    "hicache σ=0.5, order 2": mode(2, hermite_coefficients, scale=PUBLISHED),
    "damped_taylor σ=0.5, order 2": mode(2, damped_coefficients, scale=PUBLISHED),
}
LOOKS = (
    (style.VERMILLION, "-"),
    (style.VERMILLION, "--"),
    (style.PURPLE, "--"),
    (style.BLUE, "-"),
    (style.BLUE, "--"),
    (style.GREEN, ":"),
)


def collecting(outline: Outline) -> str | None:
    return None if outline.keeping("diagnostics.products") else "arms with strategy: collect."


def collected(record: Record) -> dict[int, Mapping[str, Any]]:
    """Interval -> what was collected."""
    arms = [arm for arm in record.arms.values() if "products" in arm.diagnostics]
    return dict(sorted((arm.strategy.options["interval"], arm.diagnostics) for arm in arms))


def gains(found: Mapping[str, Any], interval: int, weigh: Weigh) -> list[float]:
    """For k = 1 .. N - 1 the error of a forecast over that of reuse, root mean square over features, relative to their size."""
    anchors = [float(-j * interval) for j in range(len(found["products"][0][0]))]
    out = []
    for k, (products, squares) in enumerate(zip(found["products"], found["squares"], strict=True), 1):
        weights = weigh(anchors, float(k))
        errors = [squared_error(some, weights) / size for some, size in zip(products, squares, strict=True)]
        reuse = [some[0][0] / size for some, size in zip(products, squares, strict=True)]
        out.append((max(sum(errors), 0.0) / sum(reuse)) ** 0.5)
    return out


def overall(found: Mapping[str, Any], interval: int, weigh: Weigh) -> float:
    """The same over all k at once."""
    anchors = [float(-j * interval) for j in range(len(found["products"][0][0]))]
    error = reuse = 0.0
    for k, (products, squares) in enumerate(zip(found["products"], found["squares"], strict=True), 1):
        weights = weigh(anchors, float(k))
        error += sum(squared_error(some, weights) / size for some, size in zip(products, squares, strict=True))
        reuse += sum(some[0][0] / size for some, size in zip(products, squares, strict=True))
    return (max(error, 0.0) / reuse) ** 0.5


@figure(needs=collecting)
def forecast_gain(record: Record) -> "Figure":
    """Error over reuse's, by steps since the last full one: below 1 a forecast pays."""
    found = collected(record)
    figure, panels = _panels(record, found, "Is a forecast closer to the step's features than reuse, and for how long?")
    for axes, (interval, some) in zip(panels, found.items(), strict=True):
        steps = range(1, 1 + len(some["products"]))  # a run may end before the last k is ever seen
        axes.axhline(1, color=style.GREY, linewidth=0.8, label="reuse")
        for (name, weigh), (colour, dash) in zip(MODES.items(), LOOKS, strict=True):
            axes.plot(steps, gains(some, interval, weigh), color=colour, linestyle=dash, marker="o", markersize=2.4, label=name)
        axes.set_xticks(list(steps))
        axes.set_xlabel("k, steps since the last full one")
        axes.set_xlim(0.7, interval - 0.7)
    panels[0].set_ylabel("error of the features / that of reuse")
    style.legend(figure, style.handles(panels[:1]), columns=4, handlelength=2.6)
    return figure


@figure(needs=collecting)
def damping(record: Record) -> "Figure":
    """Error over all k by how much of the slope is taken: HiCache beside the control that only damps."""
    found = collected(record)
    figure, panels = _panels(record, found, "How much of HiCache's gain is damping alone?")
    families = {
        "order 1: hicache = damped_taylor": (style.BLUE, "-", 1, hermite_coefficients),
        "order 2: hicache": (style.BLUE, "--", 2, hermite_coefficients),
        "order 2: damped_taylor": (style.GREEN, ":", 2, damped_coefficients),
    }
    for axes, (interval, some) in zip(panels, found.items(), strict=True):
        axes.axhline(1, color=style.GREY, linewidth=0.8, label="reuse")
        for name, (colour, dash, order, coefficients) in families.items():
            errors = [overall(some, interval, mode(order, coefficients, scale=sigma)) for sigma in SIGMAS]
            axes.plot([2 * s**2 for s in SIGMAS], errors, color=colour, linestyle=dash, label=name)
            best = min(range(len(SIGMAS)), key=errors.__getitem__)
            axes.plot(2 * SIGMAS[best] ** 2, errors[best], "o", color=colour, markersize=3.5)
        for place, text in ((2 * PUBLISHED**2, "σ = 0.5"), (1.0, "Taylor")):
            axes.axvline(place, color=style.GREY, linewidth=0.6, linestyle=(0, (2, 2)))
            axes.annotate(
                text, (place, 0.97), xycoords=("data", "axes fraction"), fontsize=6, rotation=90, va="top", ha="right"
            )
        axes.set_xlabel("share 2σ² of the slope that is taken")
    panels[0].set_ylabel("error over all k / that of reuse")
    style.legend(figure, style.handles(panels[:1]), columns=4, handlelength=2.6)
    return figure


def _panels(record: Record, found: Mapping[int, Any], question: str) -> tuple["Figure", list["Axes"]]:
    figure = style.blank(style.PAGE, 2.9)
    panels = list(figure.subplots(1, len(found), sharey=True, squeeze=False)[0])
    for axes, interval in zip(panels, found, strict=True):
        axes.set_title(f"interval {interval}")
    style.question(figure, record, question)
    return figure, panels
