"""The axis of a claim of exactness: a logarithm cannot show 0, so 0 gets a band of its own."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sdaccel.records.view import Series
from sdaccel.reporting import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class LogWithZero:
    """A logarithmic axis with a band of its own for exactly 0 below it and, if there are any, one for infinite above."""

    def __init__(self, axes: "Axes", lines: Sequence[Series], *, bound: float) -> None:
        values = [v for line in lines for v in line if v] + ([bound] if bound else [])
        decades = [math.log10(v) for v in values] or [-6.0, 0.0]
        low, high = math.floor(min(decades)), math.ceil(max(decades))
        high = max(high, low + 1)
        self.axes, self.bound, self.height = axes, bound, 0.12 * (high - low)
        self.zero, self.infinite = low - self.height, high + self.height
        top = self.infinite + self.height / 2 if any(None in line for line in lines) else high
        stride = max(1, (high - low) // 4)
        ticks = list(range(low, high + 1, stride))
        names = {self.zero: "exactly 0"} | {t: f"$10^{{{t}}}$" for t in ticks}
        if top > high:
            names[self.infinite] = "not finite"
        for centre in {self.zero} | ({self.infinite} & names.keys()):
            axes.axhspan(centre - self.height / 2, centre + self.height / 2, color=style.PALE, linewidth=0)
        axes.set_yticks(list(names), list(names.values()))
        axes.set_ylim(self.zero - self.height / 2, top)

    def plot(self, line: Series, colour: str, label: str, *, marker: float = 2) -> None:
        place = [self.infinite if v is None else math.log10(v) if v else self.zero for v in line]
        ordinary = [p if v else math.nan for p, v in zip(place, line, strict=True)]
        special = [math.nan if v else p for p, v in zip(place, line, strict=True)]
        self.axes.plot(ordinary, color=colour, label=label, marker="o", markersize=marker)
        self.axes.plot(special, color=colour, linestyle="none", marker="o", markersize=marker)

    def draw_bound(self) -> None:
        if self.bound:
            dashes, label = (0, (4, 2)), f"bound {self.bound:g}"
            self.axes.axhline(math.log10(self.bound), color=style.GREY, linewidth=0.8, linestyle=dashes, label=label)
