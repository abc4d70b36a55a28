"""p, power, detectable difference and Holm say of an interval what it says itself."""

from statistics import NormalDist

import numpy as np
import pytest

from sdaccel.metrics.decision import ALPHA, Z, decide, detectable, holm, p_value, power, standard_error
from sdaccel.metrics.intervals import Interval

ENDS = np.linspace(-2, 2, 41)


@pytest.mark.parametrize("low", [0.1, 0.5, 1.9])
@pytest.mark.parametrize("high", [0.2, 0.6, 3.0])
def test_p_is_at_most_a_twentieth_exactly_where_the_interval_leaves_the_bound_out(low: float, high: float) -> None:
    """Also of a lopsided interval."""
    for bound in ENDS + 1e-3:
        found = Interval(0, -low, high)
        for region, out in (((-np.inf, bound), high <= bound), ((bound, np.inf), -low >= bound)):
            inside, p = decide(found, region)
            assert (inside and p <= ALPHA) == out
            if not inside:
                assert (p <= ALPHA) == (not -low <= bound <= high)


def test_p_of_a_normal_estimate_is_the_textbooks() -> None:
    assert p_value(1.0, 1.0 - Z * 0.5, 0.0) == pytest.approx(2 * (1 - NormalDist().cdf(2.0)))
    assert p_value(0.3, 0.1, 0.3) == 1 and p_value(1, 1, 0) == 0


@pytest.mark.parametrize(
    ("low", "high", "holds"), [(-0.2, 0.2, True), (-0.4, 0.2, None), (0.4, 0.6, False), (-0.6, -0.4, False)]
)
def test_within_a_margin_both_ends_count(low: float, high: float, holds: bool | None) -> None:
    inside, p = decide(Interval((low + high) / 2, low, high), (-0.3, 0.3))
    assert (inside if p <= ALPHA else None) is holds


def test_power_and_detectable_difference_are_how_often_a_normal_estimate_decides() -> None:
    """20000 repetitions: within a hundredth."""
    se, drawn = 0.5, np.random.default_rng(0).normal(0, 0.5, 20000)
    assert standard_error(Interval(0, -Z * se, Z * se)) == pytest.approx(se)
    for margin in (0.5, 1.0, 1.5):
        assert power(se, margin, sides=1) == pytest.approx((drawn + Z * se <= margin).mean(), abs=0.01)
        assert power(se, margin, sides=2) == pytest.approx((np.abs(drawn) + Z * se <= margin).mean(), abs=0.01)
    assert (drawn + detectable(se) - Z * se >= 0).mean() == pytest.approx(0.8, abs=0.01)


def test_holm_is_the_worked_example() -> None:
    """0.005 x 4, 0.01 x 3, 0.03 x 2, and 0.04 x 1 raised to the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1, 1] and holm([0.02]) == [0.02] and holm([]) == []


def test_holm_keeps_order_and_never_falls_below_p() -> None:
    p = np.random.default_rng(0).random(50)
    adjusted = np.array(holm(p.tolist()))
    assert (adjusted >= p).all() and (np.diff(adjusted[np.argsort(p)]) >= 0).all() and adjusted.max() <= 1
