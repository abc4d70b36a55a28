"""Laws of the schedule and the Euler loop: both are diffusers' FlowMatchEulerDiscreteScheduler."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sdaccel.generators.flux.denoise import denoise
from sdaccel.generators.flux.generator import FluxRuntime
from sdaccel.generators.flux.schedule import shift_mu, times
from sdaccel.generators.flux.solvers import euler
from sdaccel.strategies.base import Untold
from tests.generators.flux.tiny import TINY, bind, noise, relative


def scheduler(steps: int, *, tokens: int, shifted: bool = True) -> Any:
    """Set up as FluxPipeline does it, with the constants of FLUX.1-dev or, unshifted, of FLUX.1-schnell."""
    import sdaccel.torchvision_guard  # noqa: F401, I001  (before diffusers)
    from diffusers import FlowMatchEulerDiscreteScheduler
    from diffusers.pipelines.flux.pipeline_flux import calculate_shift

    made: Any = FlowMatchEulerDiscreteScheduler(shift=3.0 if shifted else 1.0, use_dynamic_shifting=shifted)
    made.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps).tolist(), mu=calculate_shift(tokens))
    return made


@pytest.mark.parametrize("tokens", [32, 256, 1024, 4096, 9216])
@pytest.mark.parametrize("steps", [1, 4, 28, 50])
@pytest.mark.parametrize("shifted", [True, False])
def test_times_are_the_scheduler_s_sigmas(steps: int, tokens: int, shifted: bool) -> None:
    ours = times(steps, tokens=tokens, shifted=shifted)
    sigmas = scheduler(steps, tokens=tokens, shifted=shifted).sigmas
    assert len(ours) == steps + 1
    assert np.abs(np.array(ours) - sigmas.double().numpy()).max() < 1e-6
    assert ours[0] == 1 and ours[-1] == 0
    assert all(a > b for a, b in pairwise(ours))


def test_the_shift_depends_on_the_number_of_tokens() -> None:
    assert [shift_mu(tokens) for tokens in (256, 4096)] == pytest.approx([0.5, 1.15], abs=1e-12)
    assert abs(times(28, tokens=1024)[14] - times(28, tokens=4096)[14]) > 0.05


def test_denoise_is_the_scheduler_s_own_loop(runtime: FluxRuntime) -> None:
    steps, x = TINY.num_steps, noise([1, 2])
    seam, theirs = bind(runtime), scheduler(steps, tokens=TINY.tokens)
    seen: list[Tensor] = []
    with torch.no_grad():
        ours, kinds = denoise(seam, x, advance=euler(seam.times), rule=None, seen=seen.append)
        for step, t in enumerate(theirs.timesteps):
            v = seam.model(hidden_states=x, timestep=(t / 1000).expand(2), return_dict=False, **seam.inputs)[0]
            x = theirs.step(v, t, x, return_dict=False)[0]
            assert relative(seen[step], x) < 1e-5
    assert torch.equal(ours, seen[-1]) and len(seen) == steps
    assert kinds == ["full"] * steps


def test_a_rule_answers_for_every_velocity(runtime: FluxRuntime) -> None:
    """Constant velocity c moves from time 1 to 0, so the result is x - c whatever the schedule."""

    class Constant(Untold):
        def velocity(self, step: int, x: Tensor) -> tuple[str, Tensor]:
            return f"kind {step}", torch.full_like(x, 0.25)

    x = noise([1])
    seam = bind(runtime, ["a cat"])
    out, kinds = denoise(seam, x, advance=euler(seam.times), rule=Constant(), seen=lambda latents: None)
    assert torch.allclose(out, x - 0.25, atol=1e-5)
    assert kinds == [f"kind {step}" for step in range(TINY.num_steps)]
