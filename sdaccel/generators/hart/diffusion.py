"""The chain that the residual head is denoised by: cosine schedule, fewer steps of it, learned-range variance.

Improved DDPM (Nichol and Dhariwal, arXiv 2102.09672); steps i = 0 .. S - 1, the noisiest last
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

BASE_STEPS = 1000
MAX_BETA = 0.999


def cosine_betas(steps: int = BASE_STEPS) -> np.ndarray:
    """float64 (steps,)"""

    def alpha_bar(t: float) -> float:
        return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

    return np.array([min(1 - alpha_bar((i + 1) / steps) / alpha_bar(i / steps), MAX_BETA) for i in range(steps)])


def respaced(steps: int) -> list[int]:
    """Which steps of the base chain are kept: the first, the last and evenly between, rounded half to even."""
    if steps == 1:
        return [0]
    stride = (BASE_STEPS - 1) / (steps - 1)
    return [round(i * stride) for i in range(steps)]


@dataclass(frozen=True)
class Chain:
    """Betas of the kept steps, and what follows from them."""

    timesteps: Sequence[int]
    """Numbers of the kept steps in the base chain: what the network is told."""
    betas: np.ndarray

    @staticmethod
    def of(steps: int) -> "Chain":
        timesteps = respaced(steps)
        kept = np.cumprod(1 - cosine_betas())[timesteps]
        return Chain(timesteps, 1 - kept / np.concatenate([[1.0], kept[:-1]]))

    @cached_property
    def alphas_bar(self) -> np.ndarray:
        return np.cumprod(1 - self.betas)

    @cached_property
    def before(self) -> np.ndarray:
        """alphas_bar of the step below."""
        return np.concatenate([[1.0], self.alphas_bar[:-1]])

    @cached_property
    def posterior_variance(self) -> np.ndarray:
        return self.betas * (1 - self.before) / (1 - self.alphas_bar)

    def x0(self, i: int, x: Tensor, eps: Tensor) -> Tensor:
        """What the noise leaves, clamped to [-1, 1]."""
        bar = self.alphas_bar[i]
        return (float(np.sqrt(1 / bar)) * x - float(np.sqrt(1 / bar - 1)) * eps).clamp(-1, 1)

    def mean(self, i: int, x: Tensor, x0: Tensor) -> Tensor:
        """Of the step below, given this one and x0."""
        bar, before, beta = self.alphas_bar[i], self.before[i], self.betas[i]
        of_x0 = beta * np.sqrt(before) / (1 - bar)
        of_x = (1 - before) * np.sqrt(1 - beta) / (1 - bar)
        return float(of_x0) * x0 + float(of_x) * x

    def log_variance(self, i: int, fraction: Tensor) -> Tensor:
        """Between the posterior's (-1) and beta (1); the posterior of step 0 is that of step 1."""
        low = np.log(self.posterior_variance[max(i, 1)]) if len(self.betas) > 1 else np.log(self.betas[0])
        high, share = np.log(self.betas[i]), (fraction + 1) / 2
        return share * float(high) + (1 - share) * float(low)


Predict = Callable[[Tensor, int], Tensor]
"""Network output (N, 2 C) for x (N, C) at a timestep: noise, then where the variance lies."""
Trace = Callable[[str, Tensor], None]


def unwatched(name: str, value: Tensor) -> None:
    """Keep nothing."""


def denoised(predict: Predict, noise: Callable[[int], Tensor], chain: Chain, *, trace: Trace = unwatched) -> Tensor:
    """x0 (N, C): noise(0) is where the chain begins, noise(n) what its n-th step adds; the last step adds none."""
    x, last = noise(0), len(chain.betas) - 1
    for i in range(last, -1, -1):
        done = last - i
        eps, fraction = predict(x, chain.timesteps[i]).chunk(2, -1)
        x0 = chain.x0(i, x, eps)
        mean, log_variance = chain.mean(i, x, x0), chain.log_variance(i, fraction)
        for name, value in {"x": x, "eps": eps, "pred_xstart": x0, "mean": mean, "log_variance": log_variance}.items():
            trace(f"step{done}_{name}", value)
        x = mean if i == 0 else mean + torch.exp(0.5 * log_variance) * noise(done + 1)
    return x
