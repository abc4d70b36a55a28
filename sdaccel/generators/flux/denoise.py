"""Along the flow from noise to image. A strategy's rule, made for this generation alone, may answer for the velocity of a step.

A step is here one evaluation of the model, of which a solver may take several for one step of its grid.
"""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from sdaccel.generators.base import Tells
from sdaccel.generators.flux.seam import FluxSeam
from sdaccel.generators.flux.solvers import Advance


class StepRule(Tells, Protocol):
    """What a strategy's `start(seam, steps=...)` returns: the velocity of every step, and what kind of step it was."""

    def velocity(self, step: int, x: Tensor) -> tuple[str, Tensor]: ...


def denoise(
    seam: FluxSeam, x: Tensor, *, advance: Advance, rule: StepRule | None, seen: Callable[[Tensor], None]
) -> tuple[Tensor, list[str]]:
    """The final latents, and the kind of every step. `seen` gets them after each step."""
    kinds = []
    for step in range(len(seam.times) - 1):
        kind, v = rule.velocity(step, x) if rule else ("full", seam.full(step, x))
        x = advance(step, x, v)
        kinds.append(kind)
        seen(x)
    return x, kinds
