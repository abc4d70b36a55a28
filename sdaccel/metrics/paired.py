"""Differences between two runs of the same samples."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

RANGE, BASE = (np.float64(0), np.float64(255)), np.float64(10)
"""torchmetrics makes tensors of both: of Python's numbers in float32, which costs 2e-6 dB, of numpy's in float64."""


def psnr_batch(a: Tensor, b: Tensor) -> Tensor:
    """(B,) peak signal-to-noise ratios of uint8 (B, C, H, W) in dB by torchmetrics, infinite where two images are identical.

    Both go there in float: differences in uint8 wrap, and unrelated images would score near 28 dB.
    """
    import sdaccel.torchvision_guard  # noqa: F401, I001  (before torchmetrics)
    from torchmetrics.functional.image import peak_signal_noise_ratio

    return peak_signal_noise_ratio(a.double(), b.double(), data_range=RANGE, base=BASE, dim=(1, 2, 3), reduction="none")


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Of two uint8 images (H, W, C)."""
    return float(psnr_batch(torch.tensor(a)[None], torch.tensor(b)[None]))


def paired_psnr(baseline: Iterable[np.ndarray], other: Iterable[np.ndarray]) -> dict[str, Any]:
    """Exact matches counted apart, so that an infinite value is neither dropped in silence nor spoils the mean."""
    values = [psnr(a, b) for a, b in zip(baseline, other, strict=True)]
    finite = [v for v in values if math.isfinite(v)]
    return {"identical": len(values) - len(finite), "psnr": float(np.mean(finite)) if finite else None, "n": len(values)}
