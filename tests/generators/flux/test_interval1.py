"""Laws of a forecasting strategy inside a generation: exact where every step is full, and as planned where not."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sdaccel.generators.flux.generator import FluxRuntime
from sdaccel.strategies.forecast.strategy import Forecast, HiCache, Taylor
from sdaccel.strategies.plain import Original
from tests.generators.flux.tiny import (
    FORECASTS,
    TINY,
    batch,
    bind,
    built,
    from_features,
    generate,
    hooks,
    noise,
    relative,
    same,
)


class LastForecast(Taylor):
    """A plan that is not full although interval = 1."""

    def plan(self, steps: int) -> list[str]:
        return [*super().plan(steps)[:-1], "forecast"]


@pytest.fixture(scope="module")
def original(either: FluxRuntime) -> Callable[[], Tensor]:
    made = generate(either, Original())
    return lambda: made.arrays["latents"]


@pytest.mark.parametrize("max_order", [0, 1, 2, 3])
@pytest.mark.parametrize("first_enhance", [1, 3, 10])
@pytest.mark.parametrize("mode", FORECASTS)
def test_interval_1_is_the_original_bit_for_bit(
    mode: str, first_enhance: int, max_order: int, either: FluxRuntime, original: Callable[[], Tensor]
) -> None:
    strategy = FORECASTS[mode](interval=1, max_order=max_order, first_enhance=first_enhance)
    made = generate(either, strategy)
    assert torch.equal(made.arrays["latents"], original())
    assert made.kinds == ["full"] * TINY.num_steps


def test_one_forecast_at_the_last_step_would_be_seen(either: FluxRuntime, original: Callable[[], Tensor]) -> None:
    made = generate(either, LastForecast(interval=1))
    assert torch.equal(made.arrays["latents"][:, :-1], original()[:, :-1])
    assert not torch.equal(made.arrays["latents"], original())


@pytest.mark.parametrize("mode", FORECASTS)
def test_interval_3_follows_its_plan_and_differs_from_the_first_forecast_on(mode: str, runtime: FluxRuntime) -> None:
    strategy = FORECASTS[mode](interval=3, max_order=2, first_enhance=2)
    made = generate(runtime, strategy)
    kinds = ["full", "full", *["forecast", "forecast", "full"] * 3, "forecast"]
    assert made.kinds == strategy.plan(TINY.num_steps) == kinds
    latents, reference = made.arrays["latents"], generate(runtime, Original()).arrays["latents"]
    assert torch.equal(latents[:, :3], reference[:, :3])
    assert all(not torch.equal(latents[:, i], reference[:, i]) for i in range(3, TINY.num_steps + 1))
    assert latents.isfinite().all()


def test_taylor_and_hicache_are_two_methods(runtime: FluxRuntime) -> None:
    assert not same(generate(runtime, Taylor(interval=3)), generate(runtime, HiCache(interval=3)))


def test_a_forecast_step_runs_no_block(runtime: FluxRuntime) -> None:
    runs = [0]
    model = bind(runtime).model
    blocks = [block.attn for block in (*model.transformer_blocks, *model.single_transformer_blocks)]

    def count(module: object, args: object, output: object) -> None:
        runs[0] += 1

    handles = [block.register_forward_hook(count) for block in blocks]
    made = generate(runtime, HiCache(interval=4))
    for handle in handles:
        handle.remove()
    assert "forecast" in made.kinds
    assert runs[0] == len(blocks) * made.kinds.count("full")


def test_order_0_holds_the_features_of_the_last_full_step(runtime: FluxRuntime) -> None:
    """The loop written out: what a forecast step is when nothing is extrapolated."""
    strategy = Taylor(interval=3, max_order=0, first_enhance=1)
    seam, x, features = bind(runtime), noise([1, 2]), {}
    seen = [x]
    with torch.inference_mode():
        for step, kind in enumerate(strategy.plan(TINY.num_steps)):
            if kind == "full":
                v = seam.full(step, x, emit=lambda name, feature: features.update({name: feature.clone()}))
            else:
                v = from_features(seam, step, x, features)
            x = x + (seam.times[step + 1] - seam.times[step]) * v
            seen.append(x)
    assert relative(generate(runtime, strategy).arrays["latents"], torch.stack(seen, 1)) < 1e-6


@pytest.mark.parametrize("strategy", [Taylor(interval=3, first_enhance=1), HiCache(interval=1)], ids=["taylor3", "hicache1"])
def test_the_second_image_of_the_same_objects_is_that_of_fresh_ones(strategy: Forecast, runtime: FluxRuntime) -> None:
    generate(runtime, strategy, batch(["something", "else"], seeds=(70, 71)))
    fresh = generate(built(), type(strategy)(**vars(strategy)))
    assert same(generate(runtime, strategy), fresh)


def test_a_strategy_leaves_no_hook_behind(runtime: FluxRuntime) -> None:
    generate(runtime, HiCache(interval=3))
    assert hooks(runtime) == 0
