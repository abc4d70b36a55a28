"""HiCache-Analytic: the scale of the Hermite forecast follows the size of a layer's slope.

D mean (or quantile) over tokens of the L2 norm of L_1 · q running root mean square of D per layer
q <- sqrt((1 - beta) q^2 + beta D^2)        scale = min(sigma_max, alpha / (sqrt(2) q + epsilon))
"""

import math
from collections.abc import Hashable
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class AnalyticRule:
    """How slopes become scales."""

    alpha: float = 1.28
    """Scale times sqrt(2) q where the cap does not bind."""
    sigma_max: float = 1.0
    """Cap of the scale."""
    beta: float = 0.01
    """Weight of the newest D in q^2; 0 measures nothing and holds q = 1."""
    q_quantile: float | None = None
    """Quantile over tokens instead of the mean."""
    smooth: float = 0.0
    """Weight of the newest scale in a running geometric mean; 0 is off."""
    epsilon: float = 1e-6
    """Keeps a scale finite where nothing moves."""


def slope_sizes(slope: Tensor, *, quantile: float | None = None) -> Tensor:
    """D of every L_1 in (..., tokens, channels), in float32."""
    norms = torch.linalg.vector_norm(slope.float(), dim=-1)
    return norms.mean(-1) if quantile is None else torch.quantile(norms, quantile, dim=-1)


def updated_q(q: float | None, size: float, *, beta: float) -> float:
    """q after one more D; the first D is taken whole."""
    return size if q is None else math.sqrt((1 - beta) * q**2 + beta * size**2)


def analytic_sigma(q: float, rule: AnalyticRule) -> float:
    """The scale that belongs to q."""
    return min(rule.sigma_max, rule.alpha / (math.sqrt(2) * q + rule.epsilon))


def smoothed_sigma(previous: float | None, sigma: float, *, smooth: float, calls: int = 1) -> float:
    """previous^(1 - smooth) sigma^smooth, `calls` times over; the first scale is taken whole."""
    if previous is None:
        return sigma
    return math.exp(math.log(sigma) + (1 - smooth) ** calls * (math.log(previous) - math.log(sigma)))


@dataclass
class AnalyticState:
    """q and the last scale of every layer during one generation; the modules of a layer share both.

    Smoothing moves a scale at every forecast of every module. How many there were follows from the step, so scales are asked
    for at any number of calls ahead and the state moves only where a new full step begins.
    """

    rule: AnalyticRule
    q: dict[Hashable, float] = field(default_factory=dict)
    sigmas: dict[Hashable, float] = field(default_factory=dict)

    def observe(self, layer: Hashable, size: float) -> None:
        """Take in the D that one module of the layer has after a full step."""
        if self.rule.beta > 0:
            self.q[layer] = updated_q(self.q.get(layer), size, beta=self.rule.beta)

    def after(self, layer: Hashable, calls: int) -> float:
        """The scale of the layer's next forecast but calls - 1."""
        sigma = analytic_sigma(self.q.get(layer, 1.0), self.rule)
        if self.rule.smooth > 0:
            return smoothed_sigma(self.sigmas.get(layer), sigma, smooth=self.rule.smooth, calls=calls)
        return sigma

    def advance(self, layer: Hashable, calls: int) -> float:
        """Make that many forecasts; the scale of the last one."""
        self.sigmas[layer] = self.after(layer, calls)
        return self.sigmas[layer]
