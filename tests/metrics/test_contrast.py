"""Differences and ratios of two arms: by pairs where there are any, never narrower than they may be where there are none."""

import numpy as np
import pytest

from sdaccel.metrics.aggregate import Aggregate, Scores, of_values
from sdaccel.metrics.contrast import Seen, difference, negated, ratio, seen
from sdaccel.metrics.intervals import mean_interval


def arm(values: np.ndarray) -> Seen:
    return Seen(Aggregate(float(values.mean()), len(values)), values)


def drawn(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shared = rng.gamma(4, 1, n)
    return 0.8 * shared + 0.2 * rng.gamma(4, 1, n), shared


def test_what_two_arms_share_does_not_widen_their_difference() -> None:
    a, b = drawn(0)
    found, apart = difference(arm(a), arm(b)), difference(Seen(of_values(a)), Seen(of_values(b)))
    truth = mean_interval(a - b)
    assert (found.low, found.high) == (truth.low, truth.high)
    assert found.high - found.low < (apart.high - apart.low) / 2  # type: ignore[operator]


def test_independent_intervals_add_in_squares() -> None:
    found = difference(Seen(Aggregate(5, 9, 2, 9)), Seen(Aggregate(1, 9, -3, 4)))
    assert (found.estimate, found.low, found.high) == (4, 4 - np.hypot(3, 3), 4 + np.hypot(4, 4))
    assert negated(found) == Aggregate(-4, 9, -4 - np.hypot(4, 4), -4 + np.hypot(3, 3))


def test_a_ratio_by_pairs_covers_the_truth() -> None:
    """True ratio 1; 30 repetitions of 60 skewed pairs: 0.95 less three Monte-Carlo errors."""
    found = [ratio(*map(arm, drawn(seed))) for seed in range(30)]
    assert np.mean([f.low <= 1 <= f.high for f in found]) >= 0.83  # type: ignore[operator]


def test_a_ratio_scales_and_is_one_to_itself() -> None:
    a, b = drawn(1)
    once, twice = ratio(arm(a), arm(b)), ratio(arm(2 * a), arm(b))
    assert (twice.estimate, twice.low, twice.high) == pytest.approx(
        tuple(2 * end for end in (once.estimate, once.low, once.high) if end is not None), rel=1e-4
    )
    same = ratio(arm(a), arm(a))
    assert (same.low, same.high) == pytest.approx((1, 1))


def test_a_ratio_of_sets_takes_both_at_their_worst() -> None:
    own = Seen(Aggregate(8, 9, 6, 10))
    assert ratio(own, Seen(Aggregate(4, 9, 2, 5))) == Aggregate(2, 9, 6 / 5, 5)
    open_ended = ratio(own, Seen(Aggregate(4, 9, -1, 5)))
    assert (open_ended.low, open_ended.high) == (6 / 5, np.inf)


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ([1.0, np.inf, 2.0], [1.0, 1.0, 1.0], "1 of 3 samples have a value in one arm"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], "no pairs"),
        ([1.0], [2.0], "two or more"),
    ],
)
def test_values_that_do_not_pair_up_have_no_difference(a: list[float], b: list[float], words: str) -> None:
    found = difference(arm(np.array(a)), arm(np.array(b)))
    assert found.estimate is None and words in found.note


def test_without_values_the_aggregate_counts_as_a_record_has_it() -> None:
    whole = Aggregate(1.23456789, 9, 1, 2)
    assert seen(Scores({"fid": whole}), "fid") == Seen(Aggregate(1.23457, 9, 1, 2))
