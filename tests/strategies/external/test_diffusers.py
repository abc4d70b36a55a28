"""The rivals from diffusers run the same steps as ours, to the same pictures where the maths is the same, and leave no hook."""

from dataclasses import replace

import pytest
import torch

from sdaccel.generators.flux.generator import FluxRuntime
from sdaccel.strategies.external.diffusers import Diffusers, DiffusersTaylorSeer, TaylorSeerRule, hooks
from sdaccel.strategies.forecast.strategy import Taylor
from sdaccel.strategies.plain import Original
from tests.generators.flux.tiny import TINY, bind, built, generate, noise, relative

RIVAL = DiffusersTaylorSeer(interval=4, max_order=2, first_enhance=1)


@pytest.fixture(scope="module", params=[1.0, 2.0], ids=["one branch", "two branches"])
def runtime(request: pytest.FixtureRequest) -> FluxRuntime:
    made = built()
    made.config = replace(made.config, true_cfg=request.param)
    return made


def test_its_forward_is_the_generator(runtime: FluxRuntime) -> None:
    plain, own = (generate(runtime, strategy).arrays["latents"] for strategy in (Original(), Diffusers()))
    assert torch.equal(plain, own)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_its_taylorseer_is_taylor(order: int, runtime: FluxRuntime) -> None:
    """With first_enhance 1 the reference's ladder has no rung that diffusers' recursion lacks."""
    ours = generate(runtime, Taylor(interval=2, max_order=order, first_enhance=1))
    theirs = generate(runtime, replace(RIVAL, interval=2, max_order=order))
    assert theirs.kinds == ours.kinds
    assert "forecast" in theirs.kinds
    assert relative(theirs.arrays["latents"], ours.arrays["latents"]) < 1e-5
    other = generate(runtime, Taylor(interval=2, max_order=order + 1, first_enhance=1))
    assert relative(theirs.arrays["latents"], other.arrays["latents"]) > 1e-4, "the law would not see another order"


@pytest.mark.parametrize("first_enhance", [1, 3])
def test_with_interval_1_it_is_the_generator_in_the_second_image_too(first_enhance: int, runtime: FluxRuntime) -> None:
    plain = generate(runtime, Original())
    generate(runtime, RIVAL)
    again = generate(runtime, replace(RIVAL, interval=1, first_enhance=first_enhance))
    assert torch.equal(again.arrays["latents"], plain.arrays["latents"])


def test_no_hook_outlives_a_generation_nor_an_error(runtime: FluxRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    generate(runtime, RIVAL)
    assert not list(hooks(runtime.transformer))
    seam = bind(runtime)
    rule = RIVAL.start(seam, steps=TINY.num_steps)
    assert isinstance(rule, TaylorSeerRule)
    with torch.inference_mode():
        rule.velocity(0, noise([1, 2]))
        assert list(hooks(runtime.transformer))
        monkeypatch.setattr(seam, "own", lambda step, x: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            rule.velocity(1, noise([1, 2]))
    assert not list(hooks(runtime.transformer))
    assert torch.equal(generate(runtime, Original()).arrays["latents"], generate(runtime, Original()).arrays["latents"])
