"""What every mode makes of a constant, a line and a parabola, at every distance: exact where its paper's rule is, and where it
is not, the value that its paper's rule gives.

p(s) = a + b s + c s^2 with s counted from the newest anchor · k steps ahead · d, e the newest gap of anchors and the one before

The ladder is L_0 = a, L_1 = b - c d (the slope half a gap back), L_2 = c (d + e) / d, so a mode with coefficients c_i gives
a + c_1 (b - c d) + c_2 c (d + e) / d. Newton's polynomial is a + b k + c k^2 itself.
"""

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sdaccel.strategies.controls import MUTANTS
from sdaccel.strategies.forecast.base import Forecast
from sdaccel.strategies.forecast.plan import ladder_length
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
from tests.strategies.forecast.series import Series, SeriesSeam

SIGMA = 0.6
Printed = Callable[[float], tuple[float, float]]
"""k -> (c_1, c_2)"""
PRINTED: dict[type[Forecast], Printed] = {
    Taylor: lambda k: (k, k**2 / 2),
    TaylorScaled: lambda k: (SIGMA**2 * k, SIGMA**4 * k**2 / 2),
    DampedTaylor: lambda k: (2 * SIGMA**2 * k, 2 * SIGMA**4 * k**2),
    HiCache: lambda k: (2 * SIGMA**2 * k, 2 * SIGMA**4 * k**2 - SIGMA**2),
    Fora: lambda k: (0, 0),
    Delta: lambda k: (0, 0),
}
SCALED = (TaylorScaled, DampedTaylor, HiCache)
NUMBERS = st.floats(-4, 4)
GAPS = st.integers(1, 9)
K = st.integers(1, 8)


quickly = settings(max_examples=50, deadline=None)


def made(mode: type[Forecast], order: int, **options: int) -> Forecast:
    scale = {"hicache_scale": SIGMA} if mode in SCALED else {}
    return mode(max_order=0 if issubclass(mode, Fora) else order, **scale, **options)  # type: ignore[arg-type]


def forecast(mode: Forecast, series: Series, anchors: Sequence[float], at: float) -> float:
    """From as many of the anchors as the mode keeps."""
    kept = anchors[: mode.max_order + 1]
    return math.fsum(w * series(s) for w, s in zip(mode.weights(kept, at), kept, strict=True))


def near(value: float) -> object:
    return pytest.approx(value, rel=1e-10, abs=1e-9)


@quickly
@given(newest=st.integers(0, 40), d=GAPS, k=K, a=NUMBERS, b=NUMBERS)
@pytest.mark.parametrize("mode", [Taylor, Newton])
def test_order_1_is_exact_on_a_line_at_any_spacing(
    mode: type[Forecast], newest: int, d: int, k: int, a: float, b: float
) -> None:
    anchors = [newest, newest - d]
    assert forecast(mode(), lambda s: a + b * (s - newest), anchors, newest + k) == near(a + b * k)


@quickly
@given(d=GAPS, e=GAPS, k=K, a=NUMBERS, b=NUMBERS, c=NUMBERS)
def test_newton_of_order_2_is_exact_on_a_parabola_at_any_spacing(d: int, e: int, k: int, a: float, b: float, c: float) -> None:
    assert forecast(Newton(), lambda s: a + b * s + c * s**2, [0, -d, -d - e], k) == near(a + b * k + c * k**2)


@quickly
@given(d=GAPS, k=K, b=NUMBERS, c=NUMBERS)
def test_taylor_as_published_misses_a_parabola_by_its_first_difference_half_a_gap_back(
    d: int, k: int, b: float, c: float
) -> None:
    """Finite differences as TaylorSeer's authors take them are exact on lines only, at even spacing too: -c k d is left."""
    assert forecast(Taylor(), lambda s: b * s + c * s**2, [0, -d, -2 * d], k) == near(b * k + c * k**2 - c * k * d)


@quickly
@given(d=GAPS, e=GAPS, k=K, a=NUMBERS, b=NUMBERS, c=NUMBERS)
@pytest.mark.parametrize("mode", PRINTED)
def test_lines_and_parabolas_are_forecast_as_printed(
    mode: type[Forecast], d: int, e: int, k: int, a: float, b: float, c: float
) -> None:
    c1, c2 = PRINTED[mode](k)
    line = forecast(made(mode, 1), lambda s: a + b * s, [0, -d], k)
    parabola = forecast(made(mode, 2), lambda s: a + b * s + c * s**2, [0, -d, -d - e], k)
    assert line == near(a + c1 * b)
    assert parabola == near(a + c1 * (b - c * d) + c2 * c * (d + e) / d)


@quickly
@given(gaps=st.lists(GAPS, max_size=3), k=K, a=NUMBERS)
@pytest.mark.parametrize("mode", [*PRINTED, Newton])
def test_a_constant_is_forecast_as_it_is(mode: type[Forecast], gaps: list[int], k: int, a: float) -> None:
    anchors = [-float(sum(gaps[:j])) for j in range(len(gaps) + 1)]
    assert forecast(made(mode, 3), lambda s: a, anchors, k) == near(a)


def whole_run(strategy: Forecast, series: Series, steps: int) -> dict[int, float]:
    """Forecast step -> what the step was made with, through plan, anchors and sums."""
    times = [1 - step / steps for step in range(steps + 1)]
    rule = strategy.start(SeriesSeam(series, times), steps=steps)
    found = {step: rule.velocity(step, torch.zeros(2, 3, 4)) for step in range(steps)}
    assert all(v.min() == v.max() for _, v in found.values())
    return {step: float(v.flatten()[0]) for step, (kind, v) in found.items() if kind != "full"}


def lawful(strategy: Forecast, a: float, b: float, c: float, steps: int) -> dict[int, float]:
    """The same by the law at the head of this file."""
    full, law = list[int](), {}
    for step, kind in enumerate(strategy.plan(steps)):
        if kind == "full":
            full.insert(0, step)
            continue
        length = ladder_length(full, max_order=strategy.max_order, first_enhance=strategy.first_enhance)
        s, k = full[0], step - full[0]
        value, slope = a + b * s + c * s**2, b + 2 * c * s
        c1, c2 = _coefficients(strategy, k, b)
        if isinstance(strategy, Newton) and length > 2:
            law[step] = value + slope * k + c * k**2
            continue
        if length > 1:
            d = full[0] - full[1]
            value += c1 * (slope - c * d)
        if length > 2:
            value += c2 * c * (full[0] - full[2]) / d
        law[step] = value
    return law


def _coefficients(strategy: Forecast, k: int, b: float) -> tuple[float, float]:
    if isinstance(strategy, Newton):
        return k, 0
    if isinstance(strategy, HiCacheAnalytic):  # on a line every slope is as long, sqrt(4) |b|, and so is their mean q
        sigma = min(strategy.sigma_max, strategy.alpha / (math.sqrt(2) * 2 * abs(b) + strategy.epsilon))
        return 2 * sigma**2 * k, 0
    return PRINTED[type(strategy)](k)


ALL = [*PRINTED, Newton, HiCacheAnalytic]
PLANS = {"interval": st.integers(2, 7), "first_enhance": st.integers(1, 10), "order": st.integers(1, 2)}


@settings(max_examples=20, deadline=None)
@given(**PLANS, a=NUMBERS, b=NUMBERS, c=NUMBERS)
@pytest.mark.parametrize("mode", ALL)
def test_a_whole_run_forecasts_by_the_law(
    mode: type[Forecast], interval: int, first_enhance: int, order: int, a: float, b: float, c: float
) -> None:
    """Of the schedule's own spacings, even and not, at every k = 1 .. interval - 1."""
    strategy, c = made(mode, order, interval=interval, first_enhance=first_enhance), 0 if mode is HiCacheAnalytic else c
    law = lawful(strategy, a, b, c, steps=30)
    found = whole_run(strategy, lambda s: a + b * s + c * s**2, steps=30)
    tolerance = 1e-6 if mode is HiCacheAnalytic else 1e-9  # lengths of slopes are float32
    assert found == pytest.approx(law, rel=tolerance, abs=tolerance * 30**2)
    assert {step % interval for step in law} == {(first_enhance - 1 + k) % interval for k in range(1, interval)}


@pytest.mark.parametrize("interval", [2, 3, 5])
@pytest.mark.parametrize("mode", [mode for mode in ALL if not issubclass(mode, Fora)])
def test_a_mode_evaluated_at_minus_k_breaks_the_law_on_a_line_at_every_k(mode: type[Forecast], interval: int) -> None:
    """The bug of a port; modes that hold have no k."""
    honest = made(mode, 1, interval=interval)
    law, found = lawful(honest, 2, 0.3, 0, steps=20), whole_run(honest, lambda s: 2 + 0.3 * s, steps=20)
    with MUTANTS["sign_flip"].plant(None, honest) as flipped:
        wrong = whole_run(flipped, lambda s: 2 + 0.3 * s, steps=20)
    assert found == pytest.approx(law, rel=1e-6)
    assert all(abs(wrong[step] - value) > 0.1 for step, value in law.items())


@pytest.mark.parametrize("interval", [3, 5])
@pytest.mark.parametrize("mutant", ["frozen_k", "undivided"])
@pytest.mark.parametrize("mode", [mode for mode in ALL if not issubclass(mode, Fora)])
def test_a_bug_of_distances_breaks_it_too(mode: type[Forecast], mutant: str, interval: int) -> None:
    honest = made(mode, 1, interval=interval)
    law = lawful(honest, 2, 0.3, 0, steps=20)
    with MUTANTS[mutant].plant(None, honest) as planted:
        wrong = whole_run(planted, lambda s: 2 + 0.3 * s, steps=20)
    assert wrong != pytest.approx(law, rel=1e-6)
