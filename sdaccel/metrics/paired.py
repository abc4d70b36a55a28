"""Differences between two runs of the same samples."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two uint8 images in dB, infinite when they are identical.

    The difference is taken in float: in uint8 it wraps, and unrelated images score near 28 dB.
    """
    error = np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def paired_psnr(baseline: Iterable[np.ndarray], other: Iterable[np.ndarray]) -> dict[str, Any]:
    """Exact matches counted apart, so that an infinite value is neither dropped in silence nor spoils the mean."""
    values = [psnr(a, b) for a, b in zip(baseline, other, strict=True)]
    finite = [v for v in values if math.isfinite(v)]
    return {"identical": len(values) - len(finite), "psnr": float(np.mean(finite)) if finite else None, "n": len(values)}
