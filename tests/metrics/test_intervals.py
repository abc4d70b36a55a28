"""Laws of the bootstrap over samples."""

import numpy as np
import pytest

from sdaccel.metrics.intervals import mean_interval
from tests.metrics.tiny import holds


def test_interval_of_many_values_is_the_normal_one() -> None:
    values = np.random.default_rng(0).normal(3, 2, 2000)
    found = mean_interval(values)
    reach = 1.96 * values.std() / np.sqrt(2000)
    assert found.estimate == values.mean()
    assert (found.low, found.high) == pytest.approx((values.mean() - reach, values.mean() + reach), abs=0.1 * reach)


def test_the_seed_decides_the_interval() -> None:
    values = np.random.default_rng(0).normal(size=50)
    assert mean_interval(values, seed=1) == mean_interval(values, seed=1) != mean_interval(values, seed=2)


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
