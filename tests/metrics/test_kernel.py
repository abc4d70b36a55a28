"""Laws of KID and CMMD: the double loop, unbiasedness, an interval that holds 0 where nothing differs."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from sdaccel.errors import BadInput
from sdaccel.metrics import kernel
from sdaccel.metrics.kernel import cmmd, cmmd_interval, kid, kid_difference, kid_interval
from tests.metrics.tiny import TinyExtractor, gaussian_set, holds, images


def naive(x: Tensor, y: Tensor, k: object) -> float:
    """MMD^2 by loops over pairs."""
    assert callable(k)
    n, m = len(x), len(y)
    xx = sum(float(k(x[i], x[j])) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(float(k(y[i], y[j])) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return xx + yy - 2 * sum(float(k(a, b)) for a in x for b in y) / (n * m)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that do not divide the sets."""
    monkeypatch.setattr(kernel, "BLOCK", 7)


@pytest.mark.usefixtures("small_blocks")
def test_kid_is_the_double_loop_over_pairs() -> None:
    x, y = gaussian_set(23, 5, seed=0), gaussian_set(17, 5, seed=1, shift=0.5)
    assert kid(x, y).value == pytest.approx(naive(x, y, lambda a, b: (a @ b / 5 + 1) ** 3), rel=1e-10)


@pytest.mark.usefixtures("small_blocks")
def test_cmmd_is_a_thousand_times_the_double_loop_on_unit_features() -> None:
    x, y = gaussian_set(23, 5, seed=0), gaussian_set(17, 5, seed=1, shift=0.5)
    u, v = x / x.norm(dim=1, keepdim=True), y / y.norm(dim=1, keepdim=True)
    expected = naive(u, v, lambda a, b: math.exp(-float((a - b) @ (a - b)) / 200))
    assert cmmd(x, y).value == pytest.approx(1000 * expected, rel=1e-8)
    assert cmmd(3 * x, y).value == pytest.approx(cmmd(x, y).value, rel=1e-8)


def test_strata_count_a_pair_within_for_all_that_cannot_be_one() -> None:
    """By loops: E k(x, x') of a set with strata is the mean over pairs of strata of the mean over their pairs of samples."""
    x, y = gaussian_set(24, 5, seed=0), gaussian_set(17, 5, seed=1, shift=0.5)
    strata, k = torch.arange(24) % 4, lambda a, b: (a @ b / 5 + 1) ** 3
    means = [
        [
            np.mean([float(k(a, b)) for i, a in enumerate(x) for j, b in enumerate(x) if (i % 4, j % 4) == (s, t) and i != j])
            for t in range(4)
        ]
        for s in range(4)
    ]
    own = np.mean([float(k(a, b)) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    assert kid(x, y, strata).value - kid(x, y).value == pytest.approx(np.mean(means) - own, rel=1e-9)


def test_all_samples_in_one_subset_are_clean_fids_kid() -> None:
    import sdaccel.torchvision_guard  # noqa: F401, I001  (before clean-fid)
    from cleanfid.fid import kernel_distance

    x, y = gaussian_set(80, 6, seed=0), gaussian_set(80, 6, seed=1, shift=0.2)
    theirs = kernel_distance(x.numpy(), y.numpy(), num_subsets=1, max_subset_size=80)
    assert kid(x, y).value == pytest.approx(theirs, rel=1e-9)


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance` will save:UserWarning")
def test_one_subset_of_all_is_torchmetrics_kid_and_their_average_over_small_ones_is_ours_with_noise() -> None:
    """Why the mean over pairs is ours: theirs draws subsets anew each time and ends beside the value of all."""
    import sdaccel.torchvision_guard  # noqa: F401, I001  (before torchmetrics)
    from torchmetrics.image.kid import KernelInceptionDistance

    extractor = TinyExtractor()
    real, generated = images(80, seed=0), images(80, seed=1, high=230)
    ours = kid(extractor(generated), extractor(real)).value

    def theirs(subsets: int, size: int) -> float:
        found = KernelInceptionDistance(feature=extractor, subsets=subsets, subset_size=size)
        found.update(real, real=True)
        found.update(generated, real=False)
        return float(found.compute()[0])

    assert theirs(1, 80) == pytest.approx(ours, abs=1e-6)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        twice = [theirs(100, 20) for _ in range(2)]
    assert twice == [pytest.approx(ours, rel=0.2)] * 2
    assert all(abs(value - ours) > 1e-6 for value in twice) and twice[0] != twice[1]


def test_interval_holds_zero_on_two_halves_of_one_set_and_not_on_different_sets() -> None:
    x = gaussian_set(800, 16, seed=0)
    for interval in (kid_interval, cmmd_interval):
        assert holds(interval(x[::2], x[1::2]), 0)
        assert not holds(interval(x[::2], 1.3 * x[1::2] + 0.3), 0)


def test_unbiased_figures_average_to_the_truth_at_any_size() -> None:
    """The biased estimate lies above zero by about E k(x, x) (1/n + 1/m)."""
    small = np.array([kid(gaussian_set(20, 4, seed=2 * i), gaussian_set(20, 4, seed=2 * i + 1)).value for i in range(400)])
    assert abs(small.mean()) < 3 * small.std() / math.sqrt(400)
    a, b = gaussian_set(6000, 4, seed=0), gaussian_set(6000, 4, seed=1, shift=0.5)
    parts = np.array([kid(x, y).value for x, y in zip(a.split(20), b.split(20), strict=True)])
    assert abs(parts.mean() - kid(a, b).value) < 3 * parts.std() / math.sqrt(300)


def test_paired_difference_sees_what_two_intervals_cannot() -> None:
    reference, a = gaussian_set(600, 8, seed=0), gaussian_set(600, 8, seed=1, shift=0.1)
    b = a + 0.02
    difference = kid_difference(b, a, reference, paired=True)
    assert difference.low > 0
    assert kid_interval(b, reference).low < kid_interval(a, reference).high


def test_one_sample_is_no_set() -> None:
    with pytest.raises(ValueError, match="two or more"):
        kid(torch.zeros(1, 3), torch.zeros(4, 3))


def test_an_interval_of_few_samples_is_refused() -> None:
    with pytest.raises(BadInput, match="needs 16 or more samples in each set and one has 15"):
        kid_interval(gaussian_set(15, 4, seed=0), gaussian_set(40, 4, seed=1))
