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


def slope_size(slope: Tensor, *, quantile: float | None = None) -> float:
    """D of an L_1 of shape (..., tokens, channels), in float32."""
    norms = torch.linalg.vector_norm(slope.float(), dim=-1).flatten()
    return float(norms.mean() if quantile is None else torch.quantile(norms, quantile))


def updated_q(q: float | None, size: float, *, beta: float) -> float:
    """q after one more D; the first D is taken whole."""
    return size if q is None else math.sqrt((1 - beta) * q**2 + beta * size**2)


def analytic_sigma(q: float, rule: AnalyticRule) -> float:
    """The scale that belongs to q."""
    return min(rule.sigma_max, rule.alpha / (math.sqrt(2) * q + rule.epsilon))


def smoothed_sigma(previous: float | None, sigma: float, *, smooth: float) -> float:
    """previous^(1 - smooth) sigma^smooth; the first scale is taken whole."""
    return sigma if previous is None else math.exp((1 - smooth) * math.log(previous) + smooth * math.log(sigma))


@dataclass
class AnalyticState:
    """q and the last scale of every layer during one generation; the modules of a layer share both."""

    rule: AnalyticRule
    q: dict[Hashable, float] = field(default_factory=dict)
    sigmas: dict[Hashable, float] = field(default_factory=dict)

    def observe(self, layer: Hashable, slope: Tensor) -> None:
        """Take in the L_1 that one module of the layer has after a full step."""
        if self.rule.beta > 0:
            size = slope_size(slope, quantile=self.rule.q_quantile)
            self.q[layer] = updated_q(self.q.get(layer), size, beta=self.rule.beta)

    def next_sigma(self, layer: Hashable) -> float:
        """The scale of one forecast of one module; smoothing moves it at every call: go step by step, modules in order."""
        sigma = analytic_sigma(self.q.get(layer, 1.0), self.rule)
        if self.rule.smooth > 0:
            sigma = smoothed_sigma(self.sigmas.get(layer), sigma, smooth=self.rule.smooth)
            self.sigmas[layer] = sigma
        return sigma
