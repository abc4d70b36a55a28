"""Feature sets whose distances are known: a reference distribution, and others moved from it."""

import math

import torch
from torch import Tensor

from sdaccel.metrics.frechet import Moments, frechet_distance

CLASSES = 24
PLACES = 4


class World:
    """Features of uneven variance, half of it between classes; noise is gaussian or centred exponential."""

    def __init__(self, d: int, *, kind: str, effect: float, device: str = "cpu", seed: int = 1) -> None:
        self.g = torch.Generator(device).manual_seed(seed)
        self.d, self.kind, self.device = d, kind, device
        deviations = torch.logspace(0, -2, d, dtype=torch.float64, device=device).sqrt()
        self.own = torch.linalg.qr(self._normal(d, d))[0] * deviations
        self.moved = (self._eye() + effect * self._normal(d, d) / math.sqrt(d)) @ self.own
        self.shift = effect * self._normal(d) * deviations.square().mean().sqrt()
        self.offset = self._normal(d) * deviations.square().sum().sqrt() / math.sqrt(d)
        centres = self._normal(CLASSES, d)
        self.centres = centres - centres.mean(0)

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.g, dtype=torch.float64, device=self.device)

    def _eye(self) -> Tensor:
        return torch.eye(self.d, dtype=torch.float64, device=self.device)

    def latents(self, n: int, labels: Tensor | None = None) -> Tensor:
        """(n, d) of mean 0; labels are drawn where none are given."""
        if labels is None:
            labels = torch.randint(CLASSES, (n,), generator=self.g, device=self.device)
        noise = self._normal(n, self.d)
        if self.kind == "exponential":
            noise = (
                -torch.rand(n, self.d, generator=self.g, dtype=torch.float64, device=self.device).clamp_min(1e-300).log() - 1
            )
        return noise + self.centres[labels]

    def reference(self, latents: Tensor) -> Tensor:
        return latents @ self.own.mT + self.offset

    def generated(self, latents: Tensor) -> Tensor:
        return latents @ self.moved.mT + self.shift + self.offset

    @property
    def covariance(self) -> Tensor:
        """Of latents."""
        return self._eye() + self.centres.mT @ self.centres / CLASSES

    @property
    def fid(self) -> float:
        """Of what is generated."""
        covariance = self.covariance
        a = Moments(2, self.shift, self.moved @ covariance @ self.moved.mT)
        return frechet_distance(a, Moments(2, torch.zeros_like(self.shift), self.own @ covariance @ self.own.mT))


class Cut(World):
    """Features of the crops of pictures: half of what a picture varies by its crops have in common, and every place differs."""

    def __init__(self, d: int, *, effect: float) -> None:
        super().__init__(d, kind="gaussian", effect=effect)
        places = self._normal(PLACES, d)
        self.places = places - places.mean(0)

    def crops(self, n: int) -> Tensor:
        """(n, PLACES, d) latents."""
        return (self.latents(n)[:, None] + self._normal(n, PLACES, self.d)) / math.sqrt(2) + self.places

    @property
    def covariance(self) -> Tensor:
        return (super().covariance + self._eye()) / 2 + self.places.mT @ self.places / PLACES


def in_turn(n: int) -> Tensor:
    """(n,) labels as studies have them."""
    return torch.arange(n) % CLASSES
