"""Laws of the ratio of medians: what it is, and that its interval covers as often as it says at the rounds that are run."""

from collections.abc import Callable

import numpy as np
import pytest

from sdaccel.measure.speedup import TOO_FEW, Speedup, speedup

TRUTH = 1.5
RUNS = 300
Noise = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]


def plain(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.exp(0.02 * rng.standard_normal(n)), np.exp(0.05 * rng.standard_normal(n))


def drifting(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The machine slows by a fifth, which both arms of a round share."""
    a, b = plain(rng, n)
    drift = np.exp(np.linspace(0, 0.2, n))
    return a * drift, b * drift


def disturbed(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """A tenth of the rounds of either arm are twice as slow."""
    a, b = plain(rng, n)
    return a * np.where(rng.random(n) < 0.1, 2, 1), b * np.where(rng.random(n) < 0.1, 2, 1)


@pytest.mark.parametrize("noise", [plain, drifting, disturbed], ids=lambda noise: noise.__name__)
@pytest.mark.parametrize("n", [3, 5, 10, 20])
def test_the_interval_covers_the_truth_as_often_as_it_says(noise: Noise, n: int) -> None:
    """0.95 less three standard errors of this many runs; more is what few rounds cost."""
    rng = np.random.default_rng([n, len(noise.__name__)])
    hits = 0
    for _ in range(RUNS):
        a, b = noise(rng, n)
        found = speedup((TRUTH * a).tolist(), b.tolist(), resamples=300)
        assert found.low is not None and found.high is not None
        hits += found.low <= TRUTH <= found.high
    assert hits / RUNS >= 0.95 - 3 * (0.95 * 0.05 / RUNS) ** 0.5


def test_it_is_the_ratio_of_the_medians_that_stand_beside_it() -> None:
    baseline, own = [2.0, 20.0, 2.1, 30.0, 1.9], [1.0, 10.0, 1.1, 15.0, 0.9]
    found = speedup(baseline, own)
    assert found.estimate == pytest.approx(np.median(baseline) / np.median(own)) and found.n == 5
    assert found == speedup(baseline, own), "a function of the rounds"
    back = speedup(own, baseline)
    assert (back.low, back.high) == pytest.approx((1 / found.high, 1 / found.low)) if found.low and found.high else False


def test_rounds_are_paired() -> None:
    """Where both arms of a round are slow together, a common factor of three leaves the ratio as sure as it was."""
    rng = np.random.default_rng(0)
    a, b, common = *plain(rng, 9), np.where(np.arange(9) < 3, 3.0, 1.0)
    pairs = ((a, b), (a * common, b * common), (a * common, b * common[::-1]))
    found = [speedup(first.tolist(), second.tolist()) for first, second in pairs]
    still, shaken, apart = [each.high - each.low for each in found if each.low and each.high]
    assert shaken < 2 * still < apart


def test_two_rounds_have_no_interval_and_an_arm_over_itself_needs_none() -> None:
    assert speedup([4.0, 4.0], [1.0, 3.0]) == Speedup(pytest.approx(2.0), n=2, note=TOO_FEW)  # type: ignore[arg-type]
    assert speedup([4.0, 4.1, 4.2], [4.0, 4.1, 4.2]) == Speedup(1.0, n=3)


def test_rounds_without_a_partner_are_an_error() -> None:
    with pytest.raises(ValueError, match="paired"):
        speedup([1.0, 2.0], [1.0])
