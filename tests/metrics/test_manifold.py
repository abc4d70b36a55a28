"""Laws of precision and recall."""

import pytest
import torch

from sdaccel.metrics import manifold
from sdaccel.metrics.manifold import precision_recall, squared_radii
from tests.metrics.tiny import gaussian_set


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifold, "BLOCK", 64)


def test_identical_sets_have_precision_and_recall_one() -> None:
    x = gaussian_set(200, 8, seed=0, shift=50)
    assert precision_recall(x, x) == (1, 1)
    assert precision_recall(x.repeat(5, 1), x.repeat(5, 1)) == (1, 1)  # copies: every ball has radius 0


def test_disjoint_sets_have_none() -> None:
    x = gaussian_set(200, 8, seed=0)
    assert precision_recall(x, gaussian_set(200, 8, seed=1, shift=100)) == (0, 0)


def test_a_lost_mode_costs_recall_and_an_invented_one_precision() -> None:
    a, b = gaussian_set(300, 4, seed=0), gaussian_set(300, 4, seed=1, shift=100)
    precision, recall = precision_recall(torch.cat([a, b]), gaussian_set(300, 4, seed=2))
    assert precision > 0.8
    assert 0.4 < recall <= 0.5
    precision, recall = precision_recall(gaussian_set(300, 4, seed=2), torch.cat([a, b]))
    assert 0.4 < precision <= 0.5
    assert recall > 0.8


def test_radii_are_those_of_a_full_distance_matrix() -> None:
    x = gaussian_set(150, 5, seed=0)
    full = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist").sort(1).values
    assert torch.allclose(squared_radii(x, k=3).sqrt(), full[:, 3], rtol=1e-9)


def test_k_needs_more_samples_than_k() -> None:
    with pytest.raises(ValueError, match="3 nearest"):
        precision_recall(torch.zeros(3, 2), torch.zeros(9, 2))
