"""What an audited forecast is judged by: the recursion of its paper in float64, by other means than the strategy's own code.

Two modes have neither paper nor reference code: damped_taylor, our control, is judged by the leading terms of HiCache's
polynomials, newton by Newton's form with divided differences, where the strategy has Lagrange's weights.

k steps since the last full step · L_i recursive difference quotient of a feature · c_i coefficient of L_i
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from numpy.polynomial.hermite import herm2poly as hermite_to_poly
from torch import Tensor

from sdaccel.strategies.forecast.base import Forecast
from sdaccel.strategies.forecast.strategy import DampedTaylor, Fora, HiCache, HiCacheAnalytic, Newton, Taylor, TaylorScaled


@dataclass
class FeatureHistory:
    """What the audit itself knows of one feature."""

    steps: deque[int]
    """The last full steps, newest first: one object for all features."""
    copies: deque[Tensor]
    """The feature at these steps."""
    ladder: list[Tensor] = field(default_factory=list)
    """L_0, L_1, ... of the newest full step."""
    exact: list[Tensor] = field(default_factory=list)
    """Of the newest one that a backend left exact: others are held and never differenced."""


class Published:
    """The forecasts of one generation."""

    def absorbed(self, name: str, history: FeatureHistory) -> None:
        """A full step is in the history of this feature."""

    def forecast(self, name: str, history: FeatureHistory, step: int) -> Tensor:
        """The feature at a step after the newest full one, in float64."""
        raise NotImplementedError


@dataclass(frozen=True)
class Sum(Published):
    """sum_i c_i(k) L_i"""

    coefficient: Callable[[int, int], float]
    """(k, i) -> c_i"""

    def forecast(self, name: str, history: FeatureHistory, step: int) -> Tensor:
        k = step - history.steps[0]
        return sum((self.coefficient(k, i) * rung for i, rung in enumerate(history.ladder)), torch.zeros(()))


class Interpolation(Published):
    """Newton's form of the polynomial through the anchors that the ladder is made of."""

    def forecast(self, name: str, history: FeatureHistory, step: int) -> Tensor:
        anchors = list(history.steps)[: len(history.ladder)]
        column = [copy.double() for copy in list(history.copies)[: len(anchors)]]
        total, factor = torch.zeros_like(column[0]), 1.0
        for i, anchor in enumerate(anchors):
            total = total + factor * column[0]
            factor *= step - anchor
            spans = [anchors[m] - anchors[m + i + 1] for m in range(len(column) - 1)]
            column = [(new - old) / span for (new, old), span in zip(pairwise(column), spans, strict=True)]
        return total


class Analytic(Published):
    """HiCache's sum with a scale per row and layer, min(sigma_max, alpha / (sqrt(2) q + epsilon))."""

    def __init__(self, strategy: HiCacheAnalytic) -> None:
        self.rule = strategy
        self.q: dict[str, Tensor] = {}
        """Layer -> (B, 1, 1): q <- sqrt((1 - beta) q^2 + beta D^2), the first D whole; D mean length of a token's L_1."""

    def absorbed(self, name: str, history: FeatureHistory) -> None:
        layer, beta = _layer(name), self.rule.beta
        if beta > 0 and len(history.ladder) > 1:
            size = history.ladder[1].square().sum(-1, keepdim=True).sqrt().mean(1, keepdim=True)
            old = self.q.get(layer, size)
            self.q[layer] = ((1 - beta) * old**2 + beta * size**2).sqrt()

    def forecast(self, name: str, history: FeatureHistory, step: int) -> Tensor:
        q = self.q.get(_layer(name), torch.ones((1, 1, 1), dtype=torch.float64))
        scale = (self.rule.alpha / (math.sqrt(2) * q + self.rule.epsilon)).clamp(max=self.rule.sigma_max)
        k = step - history.steps[0]
        return sum((hermite(k, i, scale) * rung for i, rung in enumerate(history.ladder)), torch.zeros(()))


def hermite(k: int, i: int, scale: Any) -> Any:
    """scale^i H_i(scale k) / i!, and 1 for i = 0, of a number or a tensor."""
    powers = hermite_to_poly([0] * i + [1])
    return scale**i * sum(float(c) * (scale * k) ** n for n, c in enumerate(powers)) / math.factorial(i) if i else 1.0


def _layer(name: str) -> str:
    """double.3.attn -> double.3"""
    return ".".join(name.split(".")[:2])


def published(strategy: Forecast) -> Published | None:
    """By whose formula the strategy is judged; None where there is none for its options."""
    kept = (strategy.granularity, strategy.clock)
    if kept != ("module", "step") and not (isinstance(strategy, Fora) and kept == ("singles", "step")):
        return None
    s = getattr(strategy, "hicache_scale", 1.0)
    if isinstance(strategy, Newton):
        return Interpolation()
    if isinstance(strategy, HiCacheAnalytic):
        return None if strategy.smooth or strategy.q_quantile is not None else Analytic(strategy)
    printed: dict[type[Forecast], Callable[[int, int], float]] = {
        HiCache: lambda k, i: hermite(k, i, s),
        Taylor: lambda k, i: k**i / math.factorial(i),
        TaylorScaled: lambda k, i: (s * s * k) ** i / math.factorial(i),
        DampedTaylor: lambda k, i: (2 * s * s * k) ** i / math.factorial(i),
        Fora: lambda k, i: float(i == 0),
    }
    found = [coefficient for mode, coefficient in printed.items() if isinstance(strategy, mode)]
    return Sum(found[0]) if found else None
