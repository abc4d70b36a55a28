"""Laws of every mode inside a generation: granularity, clock, number format and place of the anchors."""

from dataclasses import replace
from itertools import cycle, islice, product
from typing import Any

import pytest
import torch
from torch import Tensor

from sdaccel.generators.flux.generator import FluxRuntime
from sdaccel.generators.flux.seam import FluxSeam
from sdaccel.strategies.forecast.base import Forecast
from sdaccel.strategies.forecast.granularity import GRANULARITIES
from sdaccel.strategies.forecast.rule import ForecastRule
from sdaccel.strategies.forecast.strategy import Delta, Fora, HiCacheAnalytic, Newton, Taylor
from sdaccel.strategies.plain import Original
from tests.generators.flux.tiny import MODES, PROMPTS, TINY, batch, bind, built, generate, noise, relative, same

HOLDING = {"fora", "delta"}
"""Modes of order 0."""
OPTIONS = islice(
    cycle(product([2, 1, 0, 3], ["time", "step"], ["bfloat16", "same", "float32"], [False, True], [3, 1, 10])), 0, None, 7
)
"""In steps of a number that their count has no divisor in common with, so that they meet in many ways."""
GRID = [
    pytest.param(mode, granularity, *next(OPTIONS), id=f"{mode}-{granularity}")
    for mode, granularity in product(MODES, GRANULARITIES)
]


@pytest.fixture(scope="module")
def original(either: FluxRuntime) -> Tensor:
    return generate(either, Original()).arrays["latents"]


@pytest.mark.parametrize(("mode", "granularity", "order", "clock", "anchor_dtype", "offload", "first_enhance"), GRID)
def test_interval_1_is_the_original_bit_for_bit_in_the_second_image_too(
    mode: str,
    granularity: str,
    order: int,
    clock: str,
    anchor_dtype: str,
    offload: bool,
    first_enhance: int,
    either: FluxRuntime,
    original: Tensor,
) -> None:
    strategy = MODES[mode](
        interval=1,
        max_order=0 if mode in HOLDING else order,
        first_enhance=first_enhance,
        granularity=granularity,
        clock=clock,
        anchor_dtype=anchor_dtype,
        offload=offload,
    )
    generate(either, strategy, batch(["something", "else"], seeds=(70, 71)))
    made = generate(either, strategy)
    assert torch.equal(made.arrays["latents"], original)
    assert made.kinds == ["full"] * TINY.num_steps


class Walked(Taylor):
    """The mutant: a forecast where the plan says full."""

    def plan(self, steps: int) -> list[str]:
        return [*super().plan(steps)[:-1], GRANULARITIES[self.granularity].kind]


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_one_forecast_of_any_granularity_would_be_seen(granularity: str, either: FluxRuntime, original: Tensor) -> None:
    made = generate(either, Walked(interval=1, granularity=granularity))
    assert torch.equal(made.arrays["latents"][:, :-1], original[:, :-1])
    assert not torch.equal(made.arrays["latents"], original)


def walk(strategy: Forecast, runtime: FluxRuntime, until: int) -> tuple[ForecastRule, FluxSeam, Tensor]:
    """The rule of a generation in front of step `until`."""
    seam, x = bind(runtime), noise([1, 2])
    rule = strategy.start(seam, steps=TINY.num_steps)
    for step in range(until):
        _, v = rule.velocity(step, x)
        x = x + (seam.times[step + 1] - seam.times[step]) * v
    return rule, seam, x


@pytest.mark.parametrize("granularity", ["module", "block"])
@pytest.mark.parametrize("mode", MODES)
@torch.inference_mode()
def test_the_fused_sums_are_the_gated_forecasts_one_by_one(mode: str, granularity: str, either: FluxRuntime) -> None:
    strategy = MODES[mode](interval=4, first_enhance=2, granularity=granularity)
    assert strategy.plan(TINY.num_steps)[5:10] == ["full", "forecast", "forecast", "forecast", "full"]
    rule, seam, x = walk(strategy, either, 6)
    rule.velocity(6, x)
    for step in (7, 8):
        features = {name: rule.feature(step, name) for name in rule.names}
        gates = seam.gates([step])[0][:, :, None].float() if granularity == "module" else torch.ones(len(features))
        wanted = sum((gate * features[name] for name, gate in zip(rule.names, gates, strict=True)), torch.zeros(()))
        assert relative(rule.sums[step], wanted) < 1e-6
    assert list(rule.sums) == [7, 8], "sums of later steps would need a later anchor"


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_order_0_holds_the_last_features_whatever_the_mode(granularity: str, runtime: FluxRuntime) -> None:
    options: dict[str, Any] = {"interval": 3, "max_order": 0, "first_enhance": 1, "granularity": granularity}
    held = generate(runtime, Fora(**options))
    for mode in MODES.values():
        assert same(generate(runtime, mode(**options)), held), mode.__name__


@pytest.mark.parametrize("mode", ["taylor", "hicache", "newton", "fora"])
def test_blocks_that_share_their_weights_are_one_trunk(mode: str, runtime: FluxRuntime) -> None:
    by_block, by_trunk = (
        generate(runtime, MODES[mode](interval=3, granularity=granularity)).arrays["latents"]
        for granularity in ("block", "trunk")
    )
    assert relative(by_block, by_trunk) < 1e-5


def test_granularities_are_different_methods(runtime: FluxRuntime) -> None:
    made = {name: generate(runtime, Taylor(interval=4, granularity=name)).arrays["latents"] for name in GRANULARITIES}
    distinct = [name for name in made if name != "block"]
    assert all(relative(made[a], made[b]) > 1e-4 for a in distinct for b in distinct if a != b)


def test_delta_runs_the_doubles_and_holds_what_the_singles_added(runtime: FluxRuntime) -> None:
    """The loop written out with diffusers' own blocks."""
    seam, x, strategy = bind(runtime), noise([1, 2]), Delta(interval=3)
    seen, held, model = [x], torch.zeros(()), seam.model
    with torch.inference_mode():
        for step, kind in enumerate(strategy.plan(TINY.num_steps)):
            temb, rope = seam._embed_times([step]), seam._rope
            image, text = model.x_embedder(x), model.context_embedder(seam.inputs["encoder_hidden_states"])
            for block in model.transformer_blocks:
                text, image = block(hidden_states=image, encoder_hidden_states=text, temb=temb, image_rotary_emb=rope)
            middle = image
            for block in model.single_transformer_blocks if kind == "full" else ():
                text, image = block(hidden_states=image, encoder_hidden_states=text, temb=temb, image_rotary_emb=rope)
            held = image - middle if kind == "full" else held
            v = model.proj_out(model.norm_out(middle + held, temb))
            x = x + (seam.times[step + 1] - seam.times[step]) * v
            seen.append(x)
    made = generate(runtime, strategy)
    assert made.kinds == ["full", "partial", "partial"] * (TINY.num_steps // 3)
    assert relative(made.arrays["latents"], torch.stack(seen, 1)) < 1e-5


class Line:
    """A seam whose features are linear in time, and nothing else."""

    wide, exact, device, features = torch.float64, True, torch.device("cpu"), ["a"]

    def __init__(self, times: list[float]) -> None:
        self.times = times

    def full(self, step: int, x: Tensor, *, emit: object, names: object) -> Tensor:
        value = torch.full((1, 1, 1), 3 - 2 * self.times[step], dtype=torch.float64)
        emit("a", value)  # type: ignore[operator]
        return value

    def gates(self, steps: list[int]) -> Tensor:
        return torch.ones(len(steps), 1, 1, 1, dtype=torch.float64)

    def from_trunk(self, step: int, x: Tensor, added: Tensor) -> Tensor:
        return added


@pytest.mark.parametrize(("clock", "exact"), [("time", True), ("step", False)])
@pytest.mark.parametrize("mode", [Taylor, Newton])
def test_what_is_linear_in_time_is_forecast_exactly_on_the_clock_of_time(mode: type[Forecast], clock: str, exact: bool) -> None:
    seam = Line([(1 - s / 10) ** 2 for s in range(11)])
    strategy = mode(interval=4, max_order=1, first_enhance=2, clock=clock)
    rule = strategy.start(seam, steps=10)  # type: ignore[arg-type]
    worst = 0.0
    for step in range(10):
        _, v = rule.velocity(step, torch.zeros(1, 1, 1))
        worst = max(worst, abs(float(v) - (3 - 2 * seam.times[step])))
    assert (worst < 1e-12) is exact and (worst > 1e-2) is not exact


class Sparse(FluxSeam):
    """A backend that leaves something out of every full step but the first two."""

    last = 0

    def full(self, step: int, x: Tensor, **options: Any) -> Tensor:
        self.last = step
        return super().full(step, x, **options)

    @property
    def exact(self) -> bool:
        return self.last < 2 or self.last == 8


@torch.inference_mode()
def test_inexact_anchors_are_held_and_exact_ones_differenced(runtime: FluxRuntime) -> None:
    plain = bind(runtime)
    seam = Sparse(plain.model, inputs=plain.inputs, times=plain.times, dtype=plain.dtype)
    rule = Taylor(interval=3, first_enhance=3).start(seam, steps=TINY.num_steps)
    x, used = noise([1, 2]), {}
    for step in range(TINY.num_steps):
        rule.velocity(step, x)
        used[step] = rule.positions(step)[0]
    assert used[1] == [1] and used[8] == [8, 1]
    assert [used[step] for step in (2, 5, 11)] == [[2], [5], [11]]
    assert [used[step] for step in (4, 7, 10)] == [used[2], used[5], used[8]], "forecasts use what the full step left"


def test_an_adaptive_scale_of_one_picture_does_not_see_the_others(runtime: FluxRuntime) -> None:
    strategy = HiCacheAnalytic(interval=3, beta=0.5, smooth=0.4, max_order=1)
    first, second = (generate(runtime, strategy, batch([PROMPTS[0], other])) for other in (PROMPTS[1], "three owls"))
    assert torch.equal(first.images[0], second.images[0]) and not torch.equal(first.images[1], second.images[1])


def test_adaptive_scales_differ_by_layer_and_asking_ahead_moves_nothing(runtime: FluxRuntime) -> None:
    """The audit asks at every step; sigma of a forecast counts the calls of the modules before it."""
    strategy = HiCacheAnalytic(interval=4, first_enhance=2, alpha=0.5, smooth=0.5, max_order=1)
    rule, _, _ = walk(strategy, runtime, 6)
    before = rule.weights(8)
    for step in (6, 7, 8, 9):
        rule.weights(step)
    assert torch.equal(rule.weights(8), before)
    attention, mlp, single = before[0], before[1], before[-1]
    assert not torch.equal(attention, single) and not torch.equal(attention[:, 0], attention[:, 1])
    assert relative(attention, mlp) < relative(attention, single), "modules of one layer share a scale but for smoothing"


@pytest.mark.parametrize("mode", ["taylor", "hicache_analytic"])
def test_anchors_in_half_precision_are_near_those_in_full(mode: str, runtime: FluxRuntime) -> None:
    strategy = MODES[mode](interval=3, max_order=1)
    full, half = generate(runtime, strategy), generate(runtime, replace(strategy, anchor_dtype="bfloat16"))
    assert 1e-7 < relative(half.arrays["latents"], full.arrays["latents"]) < 1e-2
    assert same(generate(runtime, replace(strategy, anchor_dtype="float32")), full)
    assert same(generate(runtime, replace(strategy, offload=True)), full)


@pytest.mark.parametrize("granularity", GRANULARITIES)
@torch.inference_mode()
def test_the_memory_that_is_announced_is_what_the_ring_and_the_sums_take(granularity: str) -> None:
    runtime = built("bfloat16")
    for anchor_dtype in ("same", "float32"):
        strategy = Taylor(interval=4, granularity=granularity, anchor_dtype=anchor_dtype)
        rule, _, x = walk(strategy, runtime, 7)
        rule.velocity(7, x)
        sums = (strategy.interval - 1) * next(iter(rule.sums.values())).nbytes
        assert strategy.state_bytes(TINY.cost(), 2) * len(x) == rule.ring.memory.nbytes + sums
