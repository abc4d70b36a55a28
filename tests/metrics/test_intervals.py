"""Laws of the intervals of means and shares."""

import numpy as np
import pytest

from sdaccel.errors import BadInput
from sdaccel.metrics.aggregate import of_values
from sdaccel.metrics.intervals import FEWEST, mean_interval, share_interval
from tests.metrics.coverage import Proportions
from tests.metrics.tiny import holds


def test_interval_of_many_values_is_the_normal_one() -> None:
    values = np.random.default_rng(0).normal(3, 2, 2000)
    found = mean_interval(values)
    reach = 1.96 * values.std() / np.sqrt(2000)
    assert found.estimate == values.mean()
    assert (found.low, found.high) == pytest.approx((values.mean() - reach, values.mean() + reach), abs=0.1 * reach)


def test_skewed_values_have_a_longer_upper_arm() -> None:
    values = np.random.default_rng(0).exponential(size=40)
    found = mean_interval(values)
    assert found.high - found.estimate > 1.15 * (found.estimate - found.low)


def test_pairing_removes_what_the_samples_share() -> None:
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 10, 200)
    a, b = shared + rng.normal(0.2, 0.3, 200), shared
    assert mean_interval(a - b).low > 0
    assert holds(mean_interval(a), float(b.mean()))


def test_constant_values_have_an_interval_of_one_point_and_infinities_none() -> None:
    found = mean_interval(np.full(9, 2.5))
    assert (found.low, found.high) == (2.5, 2.5)
    for bad in (np.array([1.0, np.inf]), np.array([1.0]), np.array([np.nan, 1.0])):
        with pytest.raises(ValueError, match="finite"):
            mean_interval(bad)


def test_too_few_values_are_refused_with_the_number_needed_and_keep_their_mean() -> None:
    values = np.arange(FEWEST - 1.0)
    with pytest.raises(BadInput, match="needs 12 or more values and there are 11"):
        mean_interval(values)
    found = of_values(values)
    assert (found.estimate, found.low) == (5, None) and "12 or more" in found.note
    assert mean_interval(np.arange(float(FEWEST))).low < 5.5


@pytest.mark.parametrize("n", [2, 24, 128, 500])
def test_a_proportion_is_never_certain(n: int) -> None:
    right, wrong = share_interval(np.ones(n)), share_interval(np.zeros(n))
    assert right.low < right.high == right.estimate == 1
    assert wrong.low == wrong.estimate == 0 < wrong.high
    assert right.low == pytest.approx(n / (n + 1.959964**2), rel=1e-6)  # Wilson's


@pytest.mark.parametrize("n", [24, 128, 500])
def test_proportions_are_covered_in_the_mean_over_p(n: int) -> None:
    assert Proportions(n).run().coverage >= 0.93


def test_a_picture_with_many_parts_counts_for_more_than_one_that_is_right_or_wrong() -> None:
    parts = np.repeat([0.8, 1.0, 0.8, 0.6], 10)
    halves = (np.arange(40) < 32).astype(float)
    of_parts, whole = share_interval(parts), share_interval(halves)
    assert of_parts.estimate == pytest.approx(whole.estimate) and of_parts.high - of_parts.low < 0.5 * (whole.high - whole.low)


def test_what_is_declared_decides_and_values_only_where_nothing_is() -> None:
    ones = np.ones(30)
    assert of_values(ones, share=False).low == 1  # the likeness of thirty equal pictures
    assert of_values(ones).low == of_values(ones, share=True).low == share_interval(ones).low
    differences = np.resize([0.0, 0.0, 1.0, -1.0], 30)
    assert of_values(differences).low == mean_interval(differences).low
    with pytest.raises(ValueError, match="between 0 and 1"):
        share_interval(differences)
