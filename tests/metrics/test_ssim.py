"""Laws of SSIM: torchmetrics' values, identity, and no wrap of uint8."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import sdaccel.torchvision_guard  # noqa: F401
from sdaccel.metrics.ssim import ssim_batch


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Of two (H, W, C) images."""
    x, y = (torch.tensor(image).permute(2, 0, 1).unsqueeze(0) for image in (a, b))
    return float(ssim_batch(x, y)[0])


def pair(sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """A smooth image and the same with noise."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:48, 0:40]
    clean = np.stack([128 + 80 * np.sin(rows / (4 + c)) * np.cos(columns / 5) for c in range(3)], -1)
    return tuple((clean + e).round().clip(0, 255).astype(np.uint8) for e in (0, rng.normal(0, sigma, clean.shape)))  # type: ignore[return-value]


@pytest.mark.parametrize("sigma", [2.0, 20.0, 80.0])
def test_equals_torchmetrics_in_a_fraction_of_its_time(sigma: float) -> None:
    """Why this one is ours: both are exact in float64, and theirs convolves with all 121 weights."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    x, y = (torch.tensor(image).permute(2, 0, 1).expand(4, -1, -1, -1) for image in pair(sigma))
    ours, own_time = timed(lambda: ssim_batch(x, y))
    theirs, their_time = timed(
        lambda: structural_similarity_index_measure(x.double(), y.double(), data_range=255.0, reduction="none")
    )
    assert ours.tolist() == pytest.approx(theirs.tolist(), abs=1e-12)
    assert own_time < their_time / 3


def timed(compute: Callable[[], Any]) -> tuple[torch.Tensor, float]:
    """A result and the shortest of three times."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        found = compute()
        times.append(time.perf_counter() - start)
    return found, min(times)


def test_an_image_is_exactly_itself_and_order_does_not_matter() -> None:
    a, b = pair(20.0)
    assert ssim(a, a) == 1
    assert ssim(a, b) == pytest.approx(ssim(b, a), rel=1e-12)


def test_more_noise_is_less_similar() -> None:
    values = [ssim(*pair(sigma)) for sigma in (2.0, 8.0, 32.0, 80.0)]
    assert values == sorted(values, reverse=True)


def test_bright_images_do_not_wrap() -> None:
    """With squares in uint8, 250 * 250 is 36 and a bright pair of unequal level would look like noise."""
    a, b = np.full((16, 16, 3), 250, np.uint8), np.full((16, 16, 3), 240, np.uint8)
    c1 = 2.55**2
    assert ssim(a, b) == pytest.approx((2 * 250 * 240 + c1) / (250**2 + 240**2 + c1), abs=1e-6)


def test_float_images_are_refused_for_their_range_is_unknown() -> None:
    a = np.zeros((16, 16, 3))
    with pytest.raises(ValueError, match="uint8"):
        ssim(a, a)
