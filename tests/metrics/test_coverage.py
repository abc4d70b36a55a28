"""Do 95 % intervals hold the truth in 93 to 97 % of simulated studies? And does the naive one fail the same test?

Features have uneven variances; the truth is known in closed form (FID) or zero (kernel distance of one distribution).
"""

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from sdaccel.metrics.frechet import Moments, fid, frechet_distance
from sdaccel.metrics.frechet_interval import fid_difference, fid_interval
from sdaccel.metrics.intervals import mean_interval
from sdaccel.metrics.kernel import kid_interval
from tests.metrics.tiny import holds

D, N, RUNS = 64, 1000, 1000
BAND = (0.93, 0.97)
Draw = Callable[[int], Tensor]


class World:
    """A reference distribution, and one moved from it by `effect`; noise is gaussian or centred exponential."""

    def __init__(self, effect: float, *, kind: str, d: int = D) -> None:
        self.g = torch.Generator().manual_seed(1)
        self.kind, self.d = kind, d
        deviations = torch.logspace(0, -2, d, dtype=torch.float64).sqrt()
        self.own = torch.linalg.qr(self._normal(d, d))[0] * deviations
        self.moved = (torch.eye(d, dtype=torch.float64) + effect * self._normal(d, d) / math.sqrt(d)) @ self.own
        self.shift = effect * self._normal(d) * deviations.square().mean().sqrt()

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.g, dtype=torch.float64)

    def noise(self, n: int) -> Tensor:
        if self.kind == "gaussian":
            return self._normal(n, self.d)
        return -torch.rand(n, self.d, generator=self.g, dtype=torch.float64).clamp_min(1e-300).log() - 1

    def reference(self, noise: Tensor) -> Tensor:
        return noise @ self.own.mT

    def generated(self, noise: Tensor) -> Tensor:
        return noise @ self.moved.mT + self.shift

    @property
    def truth(self) -> float:
        a = Moments(2, self.shift, self.moved @ self.moved.mT)
        return frechet_distance(a, Moments(2, torch.zeros_like(self.shift), self.own @ self.own.mT))


def check(hits: list[bool]) -> None:
    coverage = sum(hits) / len(hits)
    print(f"coverage {coverage:.3f}")
    assert BAND[0] <= coverage <= BAND[1]


@pytest.mark.verify
@pytest.mark.parametrize("kind", ["gaussian", "exponential"])
@pytest.mark.parametrize("effect", [0.0, 0.1, 0.3])
def test_fid_interval_covers_the_truth(effect: float, kind: str) -> None:
    world = World(effect, kind=kind)
    found = [fid_interval(world.generated(world.noise(N)), world.reference(world.noise(N))) for _ in range(RUNS)]
    check([holds(i, world.truth) for i in found])


@pytest.mark.verify
@pytest.mark.parametrize("paired", [True, False])
def test_fid_difference_covers_the_truth(paired: bool) -> None:
    """Two generators, one at the reference's own distribution: the difference is the other's distance."""
    world, hits = World(0.2, kind="gaussian"), []
    for _ in range(RUNS):
        noise = world.noise(N)
        a, b = world.generated(noise), world.reference(noise if paired else world.noise(N))
        hits.append(holds(fid_difference(a, b, world.reference(world.noise(N)), paired=paired), world.truth))
    check(hits)


@pytest.mark.verify
def test_percentile_bootstrap_of_fid_fails_the_same_test() -> None:
    world, hits = World(0.1, kind="gaussian"), []
    for _ in range(40):
        x, y = world.generated(world.noise(N)), world.reference(world.noise(N))
        again = [fid(*(s[torch.randint(N, (N,), generator=world.g)] for s in (x, y))) for _ in range(80)]
        low, high = np.quantile(again, [0.025, 0.975])
        hits.append(low <= world.truth <= high)
        assert low > fid(x, y) > world.truth  # resampling adds the bias a second time
    assert np.mean(hits) < 0.1


@cache
def kid_truth(effect: float) -> float:
    """Mean over many independent small sets: the estimator is unbiased (tested on its own)."""
    from sdaccel.metrics.kernel import kid

    world = World(effect, kind="gaussian")
    return float(
        np.mean([kid(world.generated(world.noise(4000)), world.reference(world.noise(4000))).value for _ in range(20)])
    )


@pytest.mark.verify
@pytest.mark.parametrize("effect", [0.0, 0.3])
def test_kid_interval_covers_the_truth(effect: float) -> None:
    world, truth = World(effect, kind="gaussian"), kid_truth(effect) if effect else 0.0
    found = [kid_interval(world.generated(world.noise(N)), world.reference(world.noise(N))) for _ in range(RUNS)]
    check([holds(i, truth) for i in found])


@pytest.mark.verify
@pytest.mark.parametrize(("draw", "n"), [("normal", 8), ("normal", 100), ("exponential", 200)])
def test_bootstrap_interval_of_a_mean_covers_it(draw: str, n: int) -> None:
    rng = np.random.default_rng(0)
    truth = 1.0 if draw == "exponential" else 0.0
    found = [mean_interval(getattr(rng, draw)(size=n), resamples=1000, seed=i) for i in range(RUNS)]
    check([holds(i, truth) for i in found])
