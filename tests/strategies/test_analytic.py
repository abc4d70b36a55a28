"""Laws of the adaptive scale."""

import math

import pytest
import torch

from sdaccel.strategies.forecast.analytic import AnalyticRule, AnalyticState, analytic_sigma, slope_sizes


def test_a_layer_that_keeps_its_slope_keeps_its_scale() -> None:
    state = AnalyticState(AnalyticRule(beta=0.3, smooth=0.5))
    scales = []
    for _ in range(5):
        state.observe(0, 4.0)
        scales.append(state.advance(0, 1))
    assert scales == pytest.approx([1.28 / (math.sqrt(2) * 4)] * 5, rel=1e-6)


def test_steeper_layers_are_damped_more_and_none_beyond_the_cap() -> None:
    scales = [analytic_sigma(q, AnalyticRule()) for q in (0.0, 0.5, 2.0, 8.0)]
    assert scales[0] == scales[1] == 1.0
    assert 1.0 > scales[2] > scales[3]


def test_the_square_of_q_is_a_running_mean_of_squares() -> None:
    state = AnalyticState(AnalyticRule(beta=0.25))
    for size in (2.0, 6.0):
        state.observe("layer", size)
    assert state.q["layer"] == pytest.approx(math.sqrt(0.75 * 4 + 0.25 * 36), rel=1e-6)


def test_beta_0_measures_nothing() -> None:
    state = AnalyticState(AnalyticRule(beta=0.0))
    state.observe(0, 100.0)
    assert state.q == {}
    assert state.advance(0, 1) == pytest.approx(1.28 / math.sqrt(2), rel=1e-5)


def test_layers_share_nothing() -> None:
    state = AnalyticState(AnalyticRule(smooth=0.5))
    state.observe(0, 2.0)
    state.observe(1, 9.0)
    first = state.advance(0, 1)
    state.advance(1, 1)
    assert state.advance(0, 1) == pytest.approx(first, rel=1e-12)


def test_smoothing_moves_the_scale_at_every_call_towards_its_target() -> None:
    state = AnalyticState(AnalyticRule(beta=1.0, smooth=0.75))
    state.observe(0, 2.0)
    start = state.advance(0, 1)
    state.observe(0, 8.0)
    target = analytic_sigma(8.0, state.rule)
    distances = [math.log(state.advance(0, 1) / target) for _ in range(3)]
    assert distances == pytest.approx([math.log(start / target) * 0.25**n for n in (1, 2, 3)], rel=1e-6)


@pytest.mark.parametrize("smooth", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("calls", [1, 2, 7])
def test_a_scale_can_be_asked_for_ahead_of_its_calls(calls: int, smooth: float) -> None:
    """The closed form is the recursion, and asking moves nothing."""
    state = AnalyticState(AnalyticRule(smooth=smooth))
    state.observe(0, 2.0)
    state.advance(0, 1)
    state.observe(0, 9.0)
    foreseen = state.after(0, calls)
    assert state.after(0, calls) == foreseen
    for _ in range(calls):
        last = state.advance(0, 1)
    assert last == pytest.approx(foreseen, rel=1e-12)


def test_the_size_of_a_slope_is_the_mean_length_of_its_tokens_row_by_row() -> None:
    rows = torch.stack([torch.full((2, 4), 1.5), torch.full((2, 4), 4.0)])
    assert slope_sizes(rows).tolist() == [3.0, 8.0]


def test_a_quantile_looks_at_the_largest_tokens() -> None:
    norms = torch.arange(1.0, 12).reshape(1, 11, 1)
    assert slope_sizes(norms).tolist() == [6.0]
    assert slope_sizes(norms, quantile=0.9).tolist() == [10.0]
