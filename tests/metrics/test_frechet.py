"""Laws of the Fréchet distance: identity, agreement of torchmetrics, clean-fid and singular values, known closed forms."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

import sdaccel.torchvision_guard  # noqa: F401
from sdaccel.metrics.frechet import Moments, fid, frechet_distance, moments, root
from tests.metrics.tiny import TinyExtractor, gaussian_set, images


def by_singular_values(x: Tensor, y: Tensor) -> float:
    """tr (S1 S2)^(1/2) as the singular values of S2^(1/2) S1^(1/2), which lose nothing where covariances have no full rank."""
    a, b = moments(x), moments(y)
    overlap = torch.linalg.svdvals(root(b.covariance) @ root(a.covariance)).sum()
    return float((a.mean - b.mean).square().sum() + a.covariance.trace() + b.covariance.trace() - 2 * overlap)


@pytest.mark.parametrize(("n", "d"), [(500, 8), (400, 64), (40, 64), (200, 256)])
def test_equals_singular_values_also_with_fewer_samples_than_features(n: int, d: int) -> None:
    x, y = gaussian_set(n, d, seed=0), gaussian_set(n, d, seed=1, scale=1.1, shift=0.3)
    assert fid(x, y) == pytest.approx(by_singular_values(x, y), rel=1e-6)


def test_with_fewer_samples_than_features_a_set_is_1e7_of_its_trace_from_itself() -> None:
    """What torchmetrics' eigenvalues cost: nothing at the six digits of a record unless the distance itself is nothing."""
    x = gaussian_set(100, 128, seed=0, scale=10, shift=3)
    assert by_singular_values(x, x) == pytest.approx(0, abs=1e-9)
    assert 1e-9 < abs(fid(x, x.flip(0))) < 3e-7 * float(moments(x).covariance.trace())


@pytest.mark.parametrize(("n", "d"), [(500, 8), (400, 64)])
def test_distance_to_itself_is_zero(n: int, d: int) -> None:
    x = gaussian_set(n, d, seed=0, scale=10, shift=3)
    assert fid(x, x) == pytest.approx(0, abs=1e-6)
    assert fid(x, x[torch.randperm(n)]) == pytest.approx(0, abs=1e-6)


def test_dead_features_leave_the_distance_alone() -> None:
    x, y = gaussian_set(300, 8, seed=0), gaussian_set(300, 8, seed=1, scale=1.2)
    dead = torch.zeros(300, 5, dtype=torch.float64)
    assert fid(torch.cat([x, dead], 1), torch.cat([y, dead], 1)) == pytest.approx(fid(x, y), rel=1e-9)


def test_one_dimension_is_the_squared_distance_of_means_and_deviations() -> None:
    a, b = (Moments(2, torch.tensor([m]).double(), torch.tensor([[s * s]]).double()) for m, s in ((0.0, 2.0), (3.0, 0.5)))
    assert frechet_distance(a, b) == pytest.approx(9 + 1.5**2, rel=1e-12)


def test_root_squares_to_the_covariance() -> None:
    covariance = moments(gaussian_set(100, 12, seed=0)).covariance
    assert torch.allclose(root(covariance) @ root(covariance), covariance, atol=1e-12)


@pytest.mark.filterwarnings("ignore:The `disp` argument:DeprecationWarning")  # clean-fid's call of scipy
def test_equals_clean_fid_on_the_same_features() -> None:
    from cleanfid.fid import fid_from_feats
    from cleanfid.fid import frechet_distance as clean_distance

    x, y = gaussian_set(600, 48, seed=0), gaussian_set(700, 48, seed=1, scale=1.1, shift=0.05)
    assert fid(x, y) == pytest.approx(fid_from_feats(x.numpy(), y.numpy()), rel=1e-6)
    a, b = moments(x), moments(y)
    theirs = clean_distance(a.mean.numpy(), a.covariance.numpy(), b.mean.numpy(), b.covariance.numpy())
    assert frechet_distance(a, b) == pytest.approx(float(theirs), rel=1e-6)


def test_equals_torchmetrics_on_the_same_images() -> None:
    from torchmetrics.image.fid import FrechetInceptionDistance

    extractor = TinyExtractor()
    real, generated = images(200, seed=0), images(150, seed=1, high=230)
    theirs = FrechetInceptionDistance(feature=extractor)
    theirs.update(real, real=True)
    theirs.update(generated, real=False)
    assert fid(extractor(generated), extractor(real)) == pytest.approx(float(theirs.compute()), rel=1e-6)


def test_moments_in_blocks_are_numpys() -> None:
    x = gaussian_set(9000, 6, seed=2, shift=100).float()
    found, plain = moments(x), x.double().numpy()
    assert np.allclose(found.mean.numpy(), plain.mean(0), rtol=1e-12)
    assert np.allclose(found.covariance.numpy(), np.cov(plain, rowvar=False), rtol=1e-9)


def test_plug_in_value_of_one_distribution_is_above_zero_by_the_known_bias() -> None:
    """E FID = (3 D + D^2) / (2 N) to first order for standard normals: D/N from the means, the rest from the covariances."""
    n, d, runs = 1000, 16, 40
    g = torch.Generator().manual_seed(0)
    values = [fid(*torch.randn(2, n, d, generator=g, dtype=torch.float64)) for _ in range(runs)]
    expected = 2 * d / n + (d + d * d) / (2 * n)
    assert np.mean(values) == pytest.approx(expected, abs=4 * float(np.std(values)) / math.sqrt(runs) + 0.02 * expected)


def test_a_single_sample_has_no_covariance() -> None:
    with pytest.raises(ValueError, match="two or more"):
        fid(torch.zeros(1, 3), torch.zeros(5, 3))
