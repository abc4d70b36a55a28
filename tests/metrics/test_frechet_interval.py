"""Laws of FID's expansion: influences are derivatives, the bias is the bias, refusals say what to do."""

import numpy as np
import pytest
import torch

from sdaccel.errors import BadInput
from sdaccel.metrics.distances import strata_of
from sdaccel.metrics.frechet import fid
from sdaccel.metrics.frechet_interval import fid_difference, fid_interval, linearised_fid
from tests.metrics.tiny import gaussian_set
from tests.metrics.worlds import World, in_turn


def test_influence_is_the_derivative_of_the_distance_towards_each_sample() -> None:
    """One more of a sample among m copies of the set moves the distance by its influence over n m + 1."""
    x, y = gaussian_set(600, 5, seed=0), gaussian_set(700, 5, seed=1, scale=1.3, shift=0.2)
    psi_x, psi_y = linearised_fid(x, y).influences
    copies = 400
    many_x, many_y = x.repeat(copies, 1), y.repeat(copies, 1)
    base = fid(many_x, many_y)
    for i in (0, 7):
        moved = fid(torch.cat([many_x, x[i : i + 1]]), many_y)
        assert (moved - base) * (copies * 600 + 1) == pytest.approx(float(psi_x[i] - psi_x.mean()), rel=0.01, abs=0.003)
        moved = fid(many_x, torch.cat([many_y, y[i : i + 1]]))
        assert (moved - base) * (copies * 700 + 1) == pytest.approx(float(psi_y[i] - psi_y.mean()), rel=0.01, abs=0.003)


def test_debiased_distance_of_one_distribution_is_zero_on_average_where_the_plug_in_value_is_not() -> None:
    runs = [(gaussian_set(400, 16, seed=2 * i), gaussian_set(400, 16, seed=2 * i + 1)) for i in range(60)]
    debiased = np.array([fid_interval(x, y).estimate for x, y in runs])
    error = debiased.std() / np.sqrt(len(runs))
    assert abs(debiased.mean()) < 3 * error
    assert np.mean([fid(x, y) for x, y in runs]) > 20 * error


def test_dead_features_leave_the_interval_alone() -> None:
    x, y = gaussian_set(300, 8, seed=0), gaussian_set(300, 8, seed=1, scale=1.2)
    dead = torch.zeros(300, 5, dtype=torch.float64)
    plain, wider = fid_interval(x, y), fid_interval(torch.cat([x, dead], 1), torch.cat([y, dead], 1))
    assert (wider.estimate, wider.low, wider.high) == pytest.approx((plain.estimate, plain.low, plain.high), rel=1e-8)


def test_pairing_narrows_the_difference_of_two_similar_generators() -> None:
    reference, a = gaussian_set(500, 8, seed=0), gaussian_set(500, 8, seed=1, shift=0.3)
    b = a + 0.05 * torch.randn(500, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    paired = fid_difference(a, b, reference, paired=True)
    apart = fid_difference(a, b, reference, paired=False)
    assert paired.low <= apart.estimate <= paired.high
    assert paired.high - paired.low < 0.5 * (apart.high - apart.low)


def test_a_set_differs_from_itself_by_exactly_nothing() -> None:
    reference, a = gaussian_set(300, 8, seed=0), gaussian_set(300, 8, seed=1)
    same = fid_difference(a, a, reference, paired=True)
    assert (same.estimate, same.low, same.high) == (0, 0, 0)


def test_an_interval_is_a_function_of_the_sets() -> None:
    x, y = gaussian_set(300, 8, seed=0), gaussian_set(300, 8, seed=1)
    assert fid_interval(x, y) == fid_interval(x, y)


def test_too_few_samples_are_refused_with_the_number_needed() -> None:
    x = gaussian_set(31, 8, seed=0)
    with pytest.raises(BadInput, match="needs 32 or more samples and the first set has 31; add samples, or use KID"):
        fid_interval(x, gaussian_set(100, 8, seed=1))


def test_pairs_must_be_pairs() -> None:
    sets = gaussian_set(100, 4, seed=0), gaussian_set(101, 4, seed=1), gaussian_set(100, 4, seed=2)
    with pytest.raises(ValueError, match="100 and 101"):
        fid_difference(*sets, paired=True)


def test_one_stratum_is_no_stratum() -> None:
    x, y = gaussian_set(300, 8, seed=0), gaussian_set(300, 8, seed=1, scale=1.2)
    alone, plain = linearised_fid(x, y, torch.zeros(300, dtype=torch.int64)), linearised_fid(x, y)
    assert (alone.value, alone.variance) == pytest.approx((plain.value, plain.variance), rel=1e-9)


def test_labels_in_turn_are_centred_where_they_are_known() -> None:
    world, n = World(8, kind="gaussian", effect=0), 192
    pairs = [(world.generated(world.latents(n, in_turn(n))), world.reference(world.latents(n))) for _ in range(30)]
    found = {
        known: np.array([fid_interval(x, y, strata=in_turn(n) if known else None).estimate for x, y in pairs])
        for known in (True, False)
    }
    error = found[True].std() / np.sqrt(len(pairs))
    assert abs(found[True].mean()) < 3 * error
    assert found[False].mean() < -3 * error


def test_conditions_are_strata_where_they_come_again_and_draws_where_they_come_once() -> None:
    assert strata_of(["a", "b", "c", "b"]) is None and strata_of([7, 7, 7]) is None
    assert strata_of([0, 1, 2, 3]) is not None  # labels are few and given
    strata = strata_of([5, 2, 5, 2, 5, 2])
    assert strata is not None and strata.tolist() == [0, 1, 0, 1, 0, 1]
    few = gaussian_set(64, 8, seed=0)
    with pytest.raises(BadInput, match=r"4 or more samples of every label.* and one has 3"):
        fid_interval(few, few, strata=torch.arange(64) % 21)
