"""Laws of the forecasts, each against a ladder of tensors built step by step."""

import math
import random
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from sdaccel.strategies.forecast.anchors import AnchorRing
from sdaccel.strategies.forecast.plan import full_steps, ladder_length
from sdaccel.strategies.forecast.weights import (
    Coefficients,
    divided_differences,
    forecast_weights,
    hermite_coefficients,
    taylor_coefficients,
    taylor_scaled_coefficients,
)
from tests.strategies.sums import weighted_sum

MODES: dict[str, Coefficients] = {
    "taylor": taylor_coefficients,
    "taylor_scaled": partial(taylor_scaled_coefficients, scale=0.6),
    "hermite": partial(hermite_coefficients, scale=0.6),
}


def naive_coefficient(mode: str, k: float, i: int) -> float:
    """c_i from the explicit Hermite polynomials, not from the recursion."""
    hermite = [
        lambda x: 1,
        lambda x: 2 * x,
        lambda x: 4 * x**2 - 2,
        lambda x: 8 * x**3 - 12 * x,
        lambda x: 16 * x**4 - 48 * x**2 + 12,
    ]
    if mode == "hermite":
        return 0.6**i * hermite[i](0.6 * k) / math.factorial(i) if i else 1.0
    return (0.36**i if mode == "taylor_scaled" else 1.0) * k**i / math.factorial(i)


def forecast_all(features: Tensor, full: list[bool], order: int, first_enhance: int, mode: str) -> dict[int, Tensor]:
    """Every forecast step by the recursion, on tensors."""
    ladder, last, out = list[Tensor](), 0, {}
    for step, runs in enumerate(full):
        if runs:
            rungs = [features[step]]
            for old in ladder[:order] if step > first_enhance - 2 else []:
                rungs.append((rungs[-1] - old) / (step - last))
            ladder, last = rungs, step
        else:
            out[step] = sum((naive_coefficient(mode, step - last, i) * rung for i, rung in enumerate(ladder)), torch.zeros(()))
    return out


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(12))
def test_weights_over_raw_anchors_are_the_ladder_recursion(mode: str, seed: int) -> None:
    draw = random.Random(seed)
    interval, order, first_enhance = draw.randint(1, 7), draw.randint(0, 4), draw.randint(1, 10)
    features = torch.randn(30, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    full = full_steps(30, interval=interval, first_enhance=first_enhance)
    wanted = forecast_all(features, full, order, first_enhance, mode)
    ring = AnchorRing(order + 1, ["f"])
    for step, runs in enumerate(full):
        if runs:
            ring.begin(step)
            ring.write("f", features[step])
            continue
        use = ladder_length(ring.steps, max_order=order, first_enhance=first_enhance)
        w = forecast_weights(ring.steps[:use], step, MODES[mode])
        scale = sum(map(abs, w)) * features.abs().max()
        assert (weighted_sum(ring.anchors("f")[:use], w) - wanted[step]).abs().max() <= 1e-14 * scale


def forecast(f: Callable[[float], float], steps: list[float], at: float, coefficients: Coefficients) -> float:
    return sum(w * f(s) for w, s in zip(forecast_weights(steps, at, coefficients), steps, strict=True))


@pytest.mark.parametrize("spacing", [1, 3, 6.5])
def test_order_1_taylor_is_exact_on_a_line_at_any_spacing(spacing: float) -> None:
    steps = [20.0, 20 - spacing]
    assert forecast(lambda s: 3 * s - 7, steps, 24, taylor_coefficients) == pytest.approx(3 * 24 - 7, rel=1e-14)


def test_a_flipped_sign_of_k_fails_on_a_line() -> None:
    """The mutant that a port shipped; no even polynomial would show it."""

    def flipped(k: float, *, order: int) -> list[float]:
        return taylor_coefficients(-k, order=order)

    assert forecast(lambda s: 3 * s - 7, [20, 17], 22, flipped) == pytest.approx(3 * 18 - 7)


@pytest.mark.parametrize(("k", "n"), [(1, 3), (2, 3), (5, 6)])
def test_order_2_taylor_misses_a_parabola_by_k_n(k: int, n: int) -> None:
    """A first difference is the slope half a spacing back, which the published recursion does not correct."""
    assert forecast(lambda s: s**2, [0, -n, -2 * n], k, taylor_coefficients) == pytest.approx(k**2 - k * n, abs=1e-12)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("anchors", [1, 2, 3, 5])
def test_what_does_not_move_is_forecast_unchanged(mode: str, anchors: int) -> None:
    steps = [30.0, 24, 18, 13, 12][:anchors]
    assert math.fsum(forecast_weights(steps, 34, MODES[mode])) == pytest.approx(1, abs=1e-12)


def test_one_anchor_is_reuse() -> None:
    assert all(forecast_weights([7], 11, mode) == [1.0] for mode in MODES.values())


@pytest.mark.parametrize("k", range(1, 10))
def test_order_1_hermite_at_1_over_sqrt_2_is_taylor(k: int) -> None:
    ours, theirs = hermite_coefficients(k, order=1, scale=math.sqrt(0.5)), taylor_coefficients(k, order=1)
    assert ours[0] == theirs[0]
    assert abs(ours[1] - theirs[1]) <= math.ulp(theirs[1])


@pytest.mark.parametrize("k", [0, 1, 4.5])
def test_hermite_is_the_physicists_polynomial(k: float) -> None:
    """Decoded: slope 2 s^2 k, curvature 2 s^4 k^2 - s^2; the probabilists' polynomial gives s^2 k."""
    s = 0.5
    assert hermite_coefficients(k, order=2, scale=s) == pytest.approx([1, 2 * s**2 * k, 2 * s**4 * k**2 - s**2], abs=1e-15)


def test_taylor_scaled_damps_slope_by_scale_squared_and_curvature_by_its_fourth_power() -> None:
    assert taylor_scaled_coefficients(3, order=2, scale=0.5) == pytest.approx([1, 0.75, 4.5 / 16])


def test_uneven_spacing_divides_by_the_newest_gap_at_every_order() -> None:
    """Anchors 6, 2, 1: slopes 1/4 and 1/1, and their difference over 4, where Newton would take 6 - 1 = 5."""
    assert divided_differences([6, 2, 1]) == [[1, 0, 0], [0.25, -0.25, 0], [0.0625, -0.3125, 0.25]]
