"""Laws of the mode that only looks: it changes nothing, and what it keeps gives the errors that forecasts really have."""

from functools import partial
from typing import Any

import pytest
import torch

from sdaccel.errors import BadInput
from sdaccel.generators.flux.seam import FluxSeam
from sdaccel.strategies.forecast import distributions
from sdaccel.strategies.forecast.base import Forecast
from sdaccel.strategies.forecast.collect import Collect, squared_error
from sdaccel.strategies.forecast.strategy import DampedTaylor, HiCache, Newton, Taylor
from sdaccel.strategies.plain import Original
from tests.generators.flux.tiny import TINY, bind, built, generate, noise, same

N, ORDER, STEPS = 2, 2, TINY.num_steps


@pytest.fixture(scope="module")
def collected() -> Any:
    return generate(built(), Collect(interval=N, max_order=ORDER))


def test_looking_changes_no_bit(collected: Any) -> None:
    assert same(collected, generate(built(), Original()))
    assert collected.kinds == ["full"] * STEPS


@pytest.mark.parametrize("mode", [Taylor, HiCache, DampedTaylor, Newton, partial(HiCache, hicache_scale=0.9)])
@pytest.mark.parametrize("feature", [0, 3, 5])
def test_the_products_give_the_error_that_a_forecast_has(mode: Any, feature: int, collected: Any) -> None:
    """Against anchors and forecasts made one by one, from a run of the model on the same latents."""
    strategy: Forecast = mode(interval=N, max_order=ORDER)
    seam, x = bind(built()), noise([1, 2])
    seen = _features(seam, x, collected)
    name = seam.features[feature]
    full = [step for step, kind in enumerate(strategy.plan(STEPS)) if kind == "full"]
    errors, squares = [], []
    for step in range(STEPS):
        anchors = [s for s in reversed(full) if s < step][: ORDER + 1]
        if step in full or len(anchors) <= ORDER or anchors[0] - anchors[2] != 2 * N:
            continue
        weighed = [w * seen[a][name].double() for w, a in zip(strategy.weights(anchors, step), anchors, strict=True)]
        forecast = torch.stack(weighed).sum(0)
        errors.append((forecast - seen[step][name]).square().flatten(1).mean(1))
        squares.append(seen[step][name].square().flatten(1).mean(1))
    assert len(errors) >= 3
    for sample in range(2):
        products = collected.arrays["diagnostics.products"][sample, 0, feature].tolist()
        found = squared_error(products, strategy.weights([2.0 * N, N, 0.0], 2.0 * N + 1))
        assert found == pytest.approx(float(torch.stack(errors)[:, sample].mean()), rel=1e-4)
        assert collected.arrays["diagnostics.squares"][sample, 0, feature] == pytest.approx(
            float(torch.stack(squares)[:, sample].mean()), rel=1e-5
        )


def _features(seam: FluxSeam, x: torch.Tensor, collected: Any) -> list[dict[str, torch.Tensor]]:
    out: list[dict[str, torch.Tensor]] = []
    with torch.inference_mode():
        for step in range(STEPS):
            out.append({})
            seam.full(
                step, collected.arrays["latents"][:, step], emit=lambda name, value: out[-1].update({name: value.clone()})
            )
    return out


def test_sizes_are_those_of_the_features_and_of_their_differences(collected: Any) -> None:
    seen = _features(bind(built()), noise([1, 2]), collected)
    wanted = torch.stack([torch.stack([v.square().flatten(1).mean(1).sqrt() for v in f.values()], 1) for f in seen], 2)
    assert torch.allclose(collected.arrays["diagnostics.feature_rms"].float(), wanted, rtol=1e-5)
    sizes = collected.arrays["diagnostics.difference_size"]
    assert sizes.shape == (2, ORDER, len(seen[0])) and bool((sizes > 0).all())


def test_an_interval_that_leaves_nothing_to_look_at_is_refused() -> None:
    with pytest.raises(BadInput, match=r"interval=5 leaves no step of 12 .* between 2 and 4"):
        Collect(interval=5).check(12)
    Collect(interval=4).check(12)


GAUSS = torch.randn(6, 256, 32, generator=torch.Generator().manual_seed(0))


def test_gaussian_differences_pass_the_test_of_normality_at_its_rate_and_others_do_not() -> None:
    share = float(distributions.rejected(distributions.standardised(GAUSS), stride=1).mean())
    assert share < 0.12, "5 % if directions were independent"
    mixed = GAUSS * torch.where(torch.arange(256)[:, None] % 4 == 0, 6.0, 0.3)  # tokens of different size: heavy tails
    assert float(distributions.rejected(distributions.standardised(mixed), stride=1).mean()) > 0.9


def test_lilliefors_rejects_normal_samples_at_5_percent() -> None:
    x = torch.randn(4000, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    z = (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True)
    assert 0.04 < float((distributions.lilliefors(z) > distributions.CRITICAL).double().mean()) < 0.06


def test_moments_and_density_know_a_gaussian_from_a_skewed_one() -> None:
    z = distributions.standardised(GAUSS)
    skewed = distributions.standardised(GAUSS.exp())
    assert abs(float(distributions.skewness(z).mean())) < 0.02 < 1 < float(distributions.skewness(skewed).mean())
    assert abs(float(distributions.excess_kurtosis(z).mean())) < 0.1 < 1 < float(distributions.excess_kurtosis(skewed).mean())
    middle = float(distributions.histogram(z)[:, 19:21].mean())
    assert middle == pytest.approx(0.3985, abs=0.01)
    still = distributions.standardised(torch.ones(2, 8, 3))
    assert not still.any(), "what does not move is 0, not NaN"
