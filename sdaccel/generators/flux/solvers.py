"""How latents follow the flow: every solver is called once per evaluation of the model and gives the latents of the next one.

    dx/dt = v(x, t)        t falls along a grid of steps + 1 times, the same for every solver

Whatever is counted is counted in evaluations: a solver of two stages takes two of them for every step but the last. diffusers'
schedulers compute in float32 with sigma = t; those that extrapolate over log((1 - t) / t) begin a little below t = 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from sdaccel.errors import BadInput, choices

Advance = Callable[[int, Tensor, Tensor], Tensor]
"""(i, x, v) at evaluation i -> x at evaluation i + 1."""
Grid = Sequence[float]
EULER = "euler"
FIRST = 1 - 1e-6
"""diffusers' own first sigma of UniPC, in place of 1."""


@dataclass(frozen=True)
class Solver:
    start: Callable[[Grid], Advance]
    """What advances one generation."""
    stages: int = 1
    """Evaluations of a step that another one follows."""

    def evaluations(self, steps: int) -> int:
        return self.stages * (steps - 1) + 1

    def steps(self, evaluations: int) -> int:
        """As many as so many evaluations pay for."""
        return (evaluations - 1) // self.stages + 1

    def times(self, grid: Grid) -> list[float]:
        """The time of every evaluation, and the last one of the grid."""
        return [grid[0], *(t for t in grid[1:-1] for _ in range(self.stages)), grid[-1]]


def euler(grid: Grid) -> Advance:
    return lambda i, x, v: x + (grid[i + 1] - grid[i]) * v


def adams_bashforth(grid: Grid) -> Advance:
    """Two steps, of any lengths: the velocity on the line through the last two, in the middle of the step."""
    h = [following - t for t, following in pairwise(grid)]
    before: list[Tensor] = []

    def advance(i: int, x: Tensor, v: Tensor) -> Tensor:
        slope = v + h[i] / (2 * h[i - 1]) * (v - before.pop()) if before else v
        before.append(v)
        return x + h[i] * slope

    return advance


def heun(grid: Grid) -> Advance:
    made = _diffusers().FlowMatchHeunDiscreteScheduler()
    return _scheduled(made, SOLVERS["heun"].times(grid), steps=len(grid) - 1)


def dpmpp_2m(grid: Grid) -> Advance:
    made = _diffusers().DPMSolverMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True)
    return _scheduled(made, [FIRST, *grid[1:]], steps=len(grid) - 1)


def unipc(grid: Grid) -> Advance:
    made = _diffusers().UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True)
    return _scheduled(made, [FIRST, *grid[1:]], steps=len(grid) - 1)


def _diffusers() -> Any:
    import sdaccel.torchvision_guard  # noqa: F401, I001  (before diffusers)
    import diffusers

    return diffusers


def _scheduled(scheduler: Any, sigmas: Grid, *, steps: int) -> Advance:
    """A scheduler on sigmas of ours: not every one of them takes such by itself, and each would make another grid."""
    scheduler.set_timesteps(steps)
    scheduler.sigmas = torch.tensor(sigmas)
    scheduler.set_begin_index(0)  # it counts, and looks for no time

    def advance(i: int, x: Tensor, v: Tensor) -> Tensor:
        (following,) = scheduler.step(v, scheduler.timesteps[i], x, return_dict=False)
        return following

    return advance


SOLVERS = {
    EULER: Solver(euler),
    "ab2": Solver(adams_bashforth),
    "heun": Solver(heun, stages=2),
    "dpmpp_2m": Solver(dpmpp_2m),
    "unipc": Solver(unipc),
}


def solver(name: str) -> Solver:
    """The solver of a config's `solver` value."""
    if name not in SOLVERS:
        raise BadInput(f"generator.solver={name} is unknown; {choices(name, SOLVERS)}")
    return SOLVERS[name]
