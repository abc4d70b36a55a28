"""Look at what forecasts are made of, and forecast nothing: every step runs, so the truth beside each forecast is known.

A step is k after the full step that a plan with `interval` would have had before it, on the trajectory of the unaccelerated
run. All modes weigh the anchors A_0, A_1, .. of that plan with weights that add up to 1, hence

    |forecast - F|^2 = |sum_j w_j (A_j - A_0) - (F - A_0)|^2

is a quadratic form in the products of (F - A_0, A_1 - A_0, ..): kept by k and feature, they give the error of any mode at any
sigma afterwards, without another run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from sdaccel.errors import BadInput
from sdaccel.generators.flux.seam import DenoiseSeam
from sdaccel.strategies.base import Alone, Declares, Untold, strategy
from sdaccel.strategies.forecast import distributions
from sdaccel.strategies.forecast.checks import UNDER_EULER, check_options, check_plan
from sdaccel.strategies.forecast.plan import full_steps
from sdaccel.strategies.forecast.strategy import Taylor
from sdaccel.strategies.forecast.weights import divided_differences

OF_DIFFERENCES = ("size", "skewness", "kurtosis", "rejected", "histogram")
"""What is measured of every difference."""
ARRAYS = tuple(
    f"diagnostics.{name}" for name in ("feature_rms", "products", "squares", *(f"difference_{key}" for key in OF_DIFFERENCES))
)
THINNED = 4
"""Every so many-th token enters the test of normality."""


@strategy(name="collect")
@dataclass(frozen=True)
class Collect(Alone):
    """Every step in full; statistics of the features, of their differences, and of the errors that forecasts would have."""

    declares: ClassVar[Declares] = Declares(seam="denoise", exact=True, arrays=ARRAYS, excludes=UNDER_EULER)

    interval: int = 5
    """Distance N of the full steps that a forecasting strategy would have."""
    max_order: int = 2
    """Highest difference O that is looked at."""
    first_enhance: int = 3
    """The first steps that would all run in full."""

    @property
    def imagined(self) -> Taylor:
        """The strategy whose full steps are the anchors."""
        return Taylor(interval=self.interval, max_order=self.max_order, first_enhance=self.first_enhance)

    def check(self, steps: int) -> None:
        check_options(self.imagined)
        check_plan(self.imagined, steps)
        first = self.first_enhance - 1 + self.max_order * self.interval
        if self.interval < 2 or first + 1 >= steps:
            raise BadInput(
                f"strategy.interval={self.interval} leaves no step of {steps} behind {self.max_order + 1} full steps that far "
                "apart, so there is no forecast to look at; write an interval between 2 and "
                f"{(steps - 1 - self.first_enhance) // max(self.max_order, 1)}."
            )

    def plan(self, steps: int) -> list[str]:
        return ["full"] * steps

    def start(self, seam: DenoiseSeam, *, steps: int) -> "CollectRule":
        return CollectRule(self, seam, steps=steps)


class CollectRule(Untold):
    """One generation. Sums run over steps whose anchors all lie N apart; under true guidance over both of a sample's rows."""

    def __init__(self, options: Collect, seam: DenoiseSeam, *, steps: int) -> None:
        self.options, self.seam = options, seam
        self.full = full_steps(steps, interval=options.interval, first_enhance=options.first_enhance)
        self.anchors: list[tuple[int, dict[str, Tensor]]] = []  # newest first
        self.sizes: list[Tensor] = []
        self.products: dict[int, list[Tensor]] = {k: [] for k in range(1, options.interval)}
        self.squares: dict[int, list[Tensor]] = {k: [] for k in range(1, options.interval)}
        self.ladders: list[dict[str, Tensor]] = []

    def velocity(self, step: int, x: Tensor) -> tuple[str, Tensor]:
        features: dict[str, Tensor] = {}
        v = self.seam.full(step, x, emit=lambda name, value: features.__setitem__(name, value.detach().float()))
        count = len(x)
        self.sizes.append(self._by_feature(features, lambda name: _mean_square(features[name], count).sqrt()))
        if self.full[step]:
            self.anchors = [(step, features), *self.anchors][: self.options.max_order + 1]
            if self._even():
                self.ladders.append(self._differences(count))
        elif self._even():
            self._compare(step - self.anchors[0][0], features, count)
        return "full", v

    def _even(self) -> bool:
        """All anchors are there, and N apart: weights depend on k alone."""
        steps = [step for step, _ in self.anchors]
        gaps = {new - old for new, old in pairwise(steps)}
        return len(steps) == self.options.max_order + 1 and gaps <= {self.options.interval}

    def _by_feature(self, features: dict[str, Tensor], value: Callable[[str], Tensor]) -> Tensor:
        """(B, F, ...)"""
        return torch.stack([value(name) for name in features], 1)

    def _compare(self, k: int, features: dict[str, Tensor], count: int) -> None:
        """Products of F - A_0, A_1 - A_0, .. as (B, F, O + 1, O + 1), and |F|^2, both as means over numbers."""

        def products(name: str) -> Tensor:
            newest = self.anchors[0][1][name]
            others = [features[name], *(anchor[name] for _, anchor in self.anchors[1:])]
            moved = torch.stack([(other - newest).flatten(1) for other in others], 1)
            return _folded(moved @ moved.mT / moved.shape[-1], count)

        self.products[k].append(self._by_feature(features, products))
        self.squares[k].append(self._by_feature(features, lambda name: _mean_square(features[name], count)))

    def _differences(self, count: int) -> dict[str, Tensor]:
        """Of every order i >= 1: the size of N^i L_i, and how Gaussian L_i is; (B, O, F, ...)."""
        rows = divided_differences([float(step) for step, _ in self.anchors])[1:]
        found: dict[str, list[Tensor]] = {key: [] for key in OF_DIFFERENCES}
        for i, weights in enumerate(rows, 1):
            per_name: dict[str, list[Tensor]] = {key: [] for key in found}
            for name in self.anchors[0][1]:
                pairs = zip(weights, self.anchors, strict=True)
                difference = sum((w * anchor[name] for w, (_, anchor) in pairs), torch.zeros(()).to(self.anchors[0][1][name]))
                z = distributions.standardised(difference)
                per_name["size"].append(self.options.interval**i * _mean_square(difference, count).sqrt())
                per_name["skewness"].append(_folded(distributions.skewness(z), count))
                per_name["kurtosis"].append(_folded(distributions.excess_kurtosis(z), count))
                per_name["rejected"].append(_folded(distributions.rejected(z, stride=THINNED), count))
                per_name["histogram"].append(_folded(distributions.histogram(z), count))
            for key, values in per_name.items():
                found[key].append(torch.stack(values, 1))
        return {key: torch.stack(values, 1) for key, values in found.items()}

    def arrays(self) -> dict[str, Tensor]:
        return {f"diagnostics.{name}": value.double() for name, value in self._collected().items()}

    def _collected(self) -> dict[str, Tensor]:
        """Means over anchors and over steps of equal k; (B, ...) each."""
        out = {"feature_rms": torch.stack(self.sizes, 2)}  # (B, F, T)
        out["products"] = torch.stack([torch.stack(some).mean(0) for some in self.products.values() if some], 1)
        out["squares"] = torch.stack([torch.stack(some).mean(0) for some in self.squares.values() if some], 1)
        for key in OF_DIFFERENCES:
            out[f"difference_{key}"] = torch.stack([ladder[key] for ladder in self.ladders]).mean(0)
        return out


def _folded(rows: Tensor, count: int) -> Tensor:
    """(rows, ...) to (B, ...): the mean over the branches of a sample."""
    return rows.unflatten(0, (-1, count)).mean(0)


def _mean_square(feature: Tensor, count: int) -> Tensor:
    """(B,)"""
    return _folded(feature.square().flatten(1).mean(1), count)


def squared_error(products: Sequence[Sequence[float]], weights: Sequence[float]) -> float:
    """|forecast - F|^2 from the products and the weights of the anchors, newest first."""
    c = [-1.0, *weights[1:]]
    return sum(c[i] * c[j] * products[i][j] for i in range(len(c)) for j in range(len(c)))
