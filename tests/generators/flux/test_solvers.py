"""Laws of the solvers: one grid for all, the order that each is known for, one trajectory, and cost in evaluations."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sdaccel.errors import BadInput
from sdaccel.generators.flux.generator import Flux
from sdaccel.generators.flux.official.generator import OfficialFlux
from sdaccel.generators.flux.runtime import FluxRuntime
from sdaccel.generators.flux.schedule import times
from sdaccel.generators.flux.solvers import FIRST, SOLVERS
from sdaccel.strategies.plain import Original
from tests.generators.flux.tiny import CPU, PROMPTS, TINY, batch, generate, relative

Field = Callable[[float, Tensor], Tensor]
MEAN, VARIANCE = 0.7, 0.25
"""Of the data of a flow that can be solved by hand: x_t = (1 - t) data + t noise, both Gaussian."""
START = torch.tensor([[[-1.5, 0.2, 2.0]]], dtype=torch.float64)


def spread(t: float) -> float:
    return (1 - t) ** 2 * VARIANCE + t**2


def velocity(t: float, x: Tensor) -> Tensor:
    return -MEAN + (x - (1 - t) * MEAN) * (t - (1 - t) * VARIANCE) / spread(t)


EXACT = MEAN + START * math.sqrt(spread(0) / spread(1))


def solved(name: str, steps: int, *, field: Field = velocity, x: Tensor = START) -> Tensor:
    solver, grid = SOLVERS[name], times(steps, tokens=256)
    advance, at = solver.start(grid), solver.times(grid)
    assert len(at) - 1 == solver.evaluations(steps)
    for i in range(len(at) - 1):
        x = advance(i, x, field(at[i], x))
    return x


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("ab2", 2), ("heun", 2), ("dpmpp_2m", 2), ("unipc", 2)])
def test_the_error_falls_as_the_order_says(name: str, order: int) -> None:
    """On FLUX's shifted grid, where steps are many enough for that; two solvers extrapolate over a log that ends nowhere."""
    steps = [96, 192, 384]
    errors = [float((solved(name, n) - EXACT).norm()) for n in steps]
    slope = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert order - 0.4 < slope < order + 0.2, (slope, errors)


@pytest.mark.parametrize("name", SOLVERS)
def test_a_constant_velocity_is_followed_exactly(name: str) -> None:
    found = solved(name, 7, field=lambda t, x: torch.full_like(x, 0.25))
    assert torch.allclose(found, START - 0.25, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in SOLVERS if name != "euler"])
def test_one_step_is_euler_s(name: str) -> None:
    assert torch.allclose(solved(name, 1), solved("euler", 1), atol=1e-5)


def test_ab2_is_exact_where_the_velocity_is_a_line_in_time() -> None:
    """But for its first step, which is Euler's; the steps of the grid are all of other lengths."""
    grid = times(9, tokens=4096)
    at = SOLVERS["ab2"].start(grid)
    x = at(0, START, START * 0 + grid[0])
    behind = x - grid[1] ** 2 / 2
    for i in range(1, 9):
        x = at(i, x, START * 0 + grid[i])
    assert torch.allclose(x, behind, atol=1e-12)


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("config", [TINY, OfficialFlux(num_steps=12)], ids=["tiny", "dev"])
def test_every_solver_steps_along_euler_s_sigmas(name: str, config: Flux) -> None:
    """Those of FLUX with its shift, for the model and in diffusers' schedulers, which would choose other ones by themselves."""
    euler, other = config, replace(config, solver=name)
    assert other.grid == euler.grid == euler.times
    assert [t for i, t in enumerate(other.times) if other.times.index(t) == i] == euler.times
    cells = SOLVERS[name].start(other.grid).__closure__ or ()
    for sigmas in (cell.cell_contents.sigmas for cell in cells if hasattr(cell.cell_contents, "sigmas")):
        assert sigmas.tolist() == pytest.approx(other.times, abs=2 * (1 - FIRST))


def smooth() -> FluxRuntime:
    """The tiny transformer without the fast waves of t that it is told: a trained model follows none, a random one each."""
    made = TINY.build(CPU)
    embedder: Any = made.transformer.time_text_embed
    with torch.no_grad():
        embedder.timestep_embedder.linear_1.weight.unflatten(1, (2, -1))[:, :, :80] = 0
    return made


def test_all_solvers_converge_to_one_trajectory() -> None:
    """Of a transformer: the distance to 200 steps of AB2 falls with steps, and faster than Euler's."""
    weights = smooth()

    def end(name: str, steps: int) -> Tensor:
        runtime = replace(TINY, solver=name, num_steps=steps).sharing(TINY, weights)
        assert runtime is not None
        return generate(runtime, Original(), batch(PROMPTS[:1], (1,))).arrays["latents"][:, -1]

    truth = end("ab2", 200)
    errors = {name: [relative(end(name, steps), truth) for steps in (8, 32)] for name in SOLVERS}
    assert errors["euler"][1] < errors["euler"][0] / 3
    for name in SOLVERS.keys() - {"euler"}:
        few, many = errors[name]
        assert many < few / 8 and many < errors["euler"][1] / 8, (name, few, many)


def test_an_arm_pays_for_evaluations() -> None:
    """As many as are asked for, or the nearest number below that makes whole steps."""
    for name, wanted, steps, evaluations in [("ab2", 12, 12, 12), ("heun", 12, 6, 11), ("heun", 9, 5, 9), ("heun", 18, 9, 17)]:
        config = replace(TINY, num_steps=50, solver=name, evaluations=wanted)
        assert (config.grid_steps, config.steps, len(config.times) - 1) == (steps, evaluations, evaluations)
        assert sum(config.cost().macs) == evaluations * TINY.cost().macs[0]
        assert generate(config.build(CPU), Original()).kinds == ["full"] * evaluations
    assert config.pace == "9 steps of heun for at most 18 evaluations" and TINY.pace == ""


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (replace(TINY, solver="rk4"), "solver=rk4 is unknown"),
        (OfficialFlux(shifted=False, guidance_embeds=False, num_steps=4, solver="ab2"), "few-step model"),
        (replace(TINY, solver="heun", num_steps=1), "write generator.solver=euler, or 3 or more evaluations"),
        (replace(TINY, evaluations=12), "leave one of them out"),
        (replace(TINY, num_steps=50, evaluations=0), "evaluations=0"),
    ],
)
def test_a_solver_that_cannot_help_is_refused_by_a_sentence(config: Flux, said: str) -> None:
    with pytest.raises(BadInput, match=said) as refused:
        config.check(["a cat"])
    assert len(str(refused.value).splitlines()) == 1
