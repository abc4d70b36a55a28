"""Laws of the paired figures: PSNR of known noise, exact matches apart."""

import math

import numpy as np
import pytest
import torch

import sdaccel.torchvision_guard  # noqa: F401
from sdaccel.metrics.paired import paired_psnr, psnr


def noisy(sigma: float, *, middle: int = 128, side: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """A grey image and the same with Gaussian noise, far enough from 0 and 255 that clipping hardly matters."""
    clean = np.full((side, side, 3), middle, dtype=np.uint8)
    dirty = clean + np.random.default_rng(0).normal(0, sigma, clean.shape)
    return clean, dirty.round().clip(0, 255).astype(np.uint8)


def wrapping_psnr(a: np.ndarray, b: np.ndarray) -> float:
    """The widespread bug: differences and squares in uint8."""
    return float(10 * np.log10(255**2 / np.mean((a - b) ** 2)))


@pytest.mark.parametrize("sigma", [4, 8, 16, 32])
def test_noise_of_known_size_has_the_psnr_of_the_formula(sigma: int) -> None:
    a, b = noisy(sigma)
    expected = 20 * math.log10(255 / sigma)
    assert psnr(a, b) == pytest.approx(expected, abs=0.2)
    assert psnr(a, b) == psnr(b, a)


@pytest.mark.parametrize("sigma", [1, 8, 32])
def test_torchmetrics_is_given_what_keeps_the_formulas_float64(sigma: int) -> None:
    """With Python's numbers for range and base it computes with float32 constants and is off by 2e-6 dB."""
    from torchmetrics.functional.image import peak_signal_noise_ratio

    a, b = noisy(sigma, side=64)
    by_hand = 10 * math.log10(255**2 / np.mean((a.astype(float) - b.astype(float)) ** 2))
    assert psnr(a, b) == pytest.approx(by_hand, rel=1e-14)
    plain = peak_signal_noise_ratio(torch.tensor(a).double(), torch.tensor(b).double(), data_range=255)
    assert 1e-7 < abs(float(plain) - by_hand) < 1e-5


def test_sigma_32_is_18_db_and_not_the_28_db_of_wrapped_integers() -> None:
    a, b = noisy(32)
    assert psnr(a, b) == pytest.approx(18.06, abs=0.1)
    assert wrapping_psnr(a, b) == pytest.approx(28.3, abs=0.5)


def test_unrelated_images_are_near_8_db_and_not_28() -> None:
    a, b = np.random.default_rng(1).integers(0, 256, (2, 200, 200, 3), dtype=np.uint8)
    assert psnr(a, b) == pytest.approx(10 * math.log10(6 * 255**2 / (256**2 - 1)), abs=0.1)
    assert wrapping_psnr(a, b) > 27


def test_one_step_of_one_pixel_is_the_smallest_difference() -> None:
    a = np.zeros((2, 2, 3), dtype=np.uint8)
    b = a.copy()
    b[0, 0, 0] = 1
    assert psnr(a, b) == pytest.approx(10 * math.log10(255**2 * 12), rel=1e-12)
    assert psnr(a, a) == math.inf


def test_identical_pairs_are_counted_apart_and_leave_the_mean_alone() -> None:
    a, b = noisy(16)
    c, d = noisy(8)
    mixed = paired_psnr([a, a, c, a], [b, a, d, a])
    assert mixed == {"identical": 2, "psnr": pytest.approx((psnr(a, b) + psnr(c, d)) / 2, rel=1e-12), "n": 4}


def test_where_all_pairs_are_identical_there_is_no_mean() -> None:
    a, b = noisy(16)
    assert paired_psnr([a, b], [a, b]) == {"identical": 2, "psnr": None, "n": 2}


def test_a_missing_partner_is_an_error() -> None:
    a, b = noisy(16)
    with pytest.raises(ValueError, match="shorter"):
        paired_psnr([a, b], [a])
