"""Laws of the modes as weights over raw anchors, and of what their options refuse."""

import math
from collections.abc import Callable

import pytest

from sdaccel.errors import BadInput
from sdaccel.strategies.forecast.base import Forecast
from sdaccel.strategies.forecast.clock import CLOCKS
from sdaccel.strategies.forecast.strategy import (
    DampedTaylor,
    Delta,
    Fora,
    HiCache,
    HiCacheAnalytic,
    Newton,
    Taylor,
    TaylorScaled,
)

UNEVEN = [31.0, 24, 20, 19, 7]
"""Anchors at no fixed spacing, newest first."""


def forecast(mode: Forecast, f: Callable[[float], float], anchors: list[float], at: float) -> float:
    return math.fsum(w * f(s) for w, s in zip(mode.weights(anchors, at), anchors, strict=True))


@pytest.mark.parametrize("degree", range(5))
def test_newton_is_exact_on_polynomials_up_to_its_order_at_any_spacing(degree: int) -> None:
    def f(s: float) -> float:
        return (s / 10 - 1.7) ** degree

    for order in range(5):
        found = forecast(Newton(), f, UNEVEN[: order + 1], 35)
        assert (found == pytest.approx(f(35), rel=1e-10)) is (order >= degree)


def test_newton_is_the_backward_formula_at_even_spacing() -> None:
    """L_0 + k L_1 + k (k + N) / 2 L_2 over the ladder of quotients."""
    N, k = 6.0, 4.0
    f = [2.0, -1.0, 5.0]
    ladder = [f[0], (f[0] - f[1]) / N, (f[0] - 2 * f[1] + f[2]) / N**2]
    wanted = ladder[0] + k * ladder[1] + k * (k + N) / 2 * ladder[2]
    weights = Newton().weights([20.0, 14, 8], 24)
    assert math.fsum(w * a for w, a in zip(weights, f, strict=True)) == pytest.approx(wanted, rel=1e-14)


@pytest.mark.parametrize(("k", "n"), [(1, 3), (2, 3), (5, 6)])
def test_taylor_misses_the_parabola_that_newton_meets_by_k_n(k: int, n: int) -> None:
    anchors = [0.0, -n, -2 * n]
    assert forecast(Newton(), lambda s: s**2, anchors, k) == pytest.approx(k**2, abs=1e-12)
    assert forecast(Taylor(), lambda s: s**2, anchors, k) == pytest.approx(k**2 - k * n, abs=1e-12)


def test_up_to_order_1_newton_is_taylor() -> None:
    for anchors in (UNEVEN[:1], UNEVEN[:2]):
        assert Newton().weights(anchors, 40) == pytest.approx(Taylor().weights(anchors, 40), rel=1e-14)


@pytest.mark.parametrize("k", range(1, 10))
def test_hicache_at_1_over_sqrt_2_and_order_1_is_taylor(k: int) -> None:
    """The coefficient to one ulp, the weights it is combined into to two."""
    anchors = [20.0, 13.0]
    ours, theirs = HiCache(hicache_scale=math.sqrt(0.5)).weights(anchors, 20 + k), Taylor().weights(anchors, 20 + k)
    assert all(abs(a - b) <= 2 * math.ulp(b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("sigma", [0.3, 0.5, 0.7])
def test_the_damped_control_is_hicache_but_for_the_curvature_it_takes_off(sigma: float) -> None:
    damped, hicache = DampedTaylor(hicache_scale=sigma), HiCache(hicache_scale=sigma)
    for k in (1.0, 4.0):
        assert damped.coefficients(k, order=1) == pytest.approx(hicache.coefficients(k, order=1), rel=1e-14)
        difference = [h - d for h, d in zip(hicache.coefficients(k, order=2), damped.coefficients(k, order=2), strict=True)]
        assert difference == pytest.approx([0, 0, -(sigma**2)], abs=1e-14)
        cubic = hicache.coefficients(k, order=3)[3] - damped.coefficients(k, order=3)[3]
        assert cubic == pytest.approx(-2 * sigma**4 * k, rel=1e-12)


def test_the_damped_control_at_1_over_sqrt_2_is_taylor_and_taylor_scaled_at_sqrt_2_sigma() -> None:
    for order in range(4):
        for sigma, same in ((math.sqrt(0.5), Taylor()), (0.5, TaylorScaled(hicache_scale=math.sqrt(0.5)))):
            wanted = same.coefficients(3, order=order)
            assert DampedTaylor(hicache_scale=sigma).coefficients(3, order=order) == pytest.approx(wanted, rel=1e-14)


@pytest.mark.parametrize("mode", [Taylor, TaylorScaled, HiCache, DampedTaylor, Newton, Fora, Delta])
def test_what_does_not_move_is_forecast_unchanged_and_one_anchor_is_reuse(mode: type[Forecast]) -> None:
    assert mode().weights([7.0], 11) == [1.0]
    if mode().max_order:
        assert math.fsum(mode().weights(UNEVEN[:3], 34)) == pytest.approx(1, abs=1e-12)


def test_both_clocks_run_from_0_to_the_number_of_steps_and_only_one_is_even() -> None:
    times = [1.0, 0.9, 0.7, 0.4, 0.0]
    assert [CLOCKS["step"](times, s) for s in range(5)] == [0, 1, 2, 3, 4]
    assert [CLOCKS["time"](times, s) for s in range(5)] == pytest.approx([0, 0.4, 1.2, 2.4, 4])


def refused(mode: Forecast, steps: int = 50) -> str:
    with pytest.raises(BadInput) as caught:
        mode.check(steps)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        (Taylor(interval=0), "interval=0 must be at least 1"),
        (Newton(max_order=-1), "max_order=-1 must be at least 0"),
        (HiCacheAnalytic(first_enhance=0), "first_enhance=0 must be at least 1"),
        (HiCache(hicache_scale=0.0), r"hicache_scale=0.0 must lie in (0, 1]"),
        (DampedTaylor(hicache_scale=math.nan), "hicache_scale=nan must lie"),
        (Taylor(granularity="layer"), "granularity=layer is unknown; choose one of module, block, trunk, singles, output"),
        (Taylor(clock="sigma"), "clock=sigma is unknown; choose one of step, time"),
        (Taylor(anchor_dtype="int8"), "anchor_dtype=int8 is unknown; choose one of same, float32, bfloat16"),
        (Fora(max_order=1), "max_order=1: this mode holds features as they are; use strategy=taylor"),
        (HiCacheAnalytic(alpha=0.0), "alpha=0.0 must be above 0 and finite"),
        (HiCacheAnalytic(smooth=1.5), "smooth=1.5 must lie in [0, 1]"),
    ],
)
def test_values_that_mean_nothing_are_refused(mode: Forecast, says: str) -> None:
    assert says in refused(mode)


def test_a_model_of_few_steps_is_refused_where_nothing_could_be_forecast() -> None:
    said = refused(Taylor(interval=5, max_order=1, first_enhance=4), 4)
    assert "first_enhance=4 leaves none of generator.num_steps=4 to forecast" in said
    Taylor(interval=1).check(4)  # asked for: every step full


@pytest.mark.parametrize("mode", [HiCache(max_order=1), Fora(interval=2), Delta(), Taylor(interval=2, max_order=1)])
def test_a_model_of_few_steps_is_refused_with_the_reason(mode: Forecast) -> None:
    assert "generator.num_steps=4 is too few to forecast any: from one step of a few-step model" in refused(mode, 4)
    mode.check(5)


def test_an_order_that_the_schedule_never_fills_is_refused_with_the_one_that_it_does() -> None:
    said = refused(Taylor(interval=5, max_order=3), 12)
    assert "max_order=3 is never reached" in said and "write strategy.max_order=2" in said
    Taylor(interval=5, max_order=2).check(12)
    Taylor(interval=1, max_order=3).check(12)
