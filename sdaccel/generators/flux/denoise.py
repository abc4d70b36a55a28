"""Euler steps along the flow. A strategy's rule, made for this generation alone, may answer for the velocity of a step."""

from collections.abc import Callable
from itertools import pairwise
from typing import Protocol

from torch import Tensor

from sdaccel.generators.base import Tells
from sdaccel.generators.flux.seam import FluxSeam


class StepRule(Tells, Protocol):
    """What a strategy's `start(seam, steps=...)` returns: the velocity of every step, and what kind of step it was."""

    def velocity(self, step: int, x: Tensor) -> tuple[str, Tensor]: ...


def denoise(seam: FluxSeam, x: Tensor, *, rule: StepRule | None, seen: Callable[[Tensor], None]) -> tuple[Tensor, list[str]]:
    """The final latents, and the kind of every step. `seen` gets them after each step."""
    kinds = []
    for step, (t, following) in enumerate(pairwise(seam.times)):
        kind, v = rule.velocity(step, x) if rule else ("full", seam.full(step, x))
        x = x + (following - t) * v
        kinds.append(kind)
        seen(x)
    return x, kinds
