"""Fréchet distance between feature sets (FID, Heusel et al. 2017), by torchmetrics, of moments in float64 and in blocks.

    d2 = |mu1 - mu2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2)

torchmetrics sums the roots of the eigenvalues of S1 S2. With N < D most of them are 0 and come out near 1e-16, their roots near
1e-8: the distance is then off by about 1e-7 of the traces. clean-fid gives the same figures, more slowly. torchmetrics' class
would run the network a second time, on pictures whose features are on disk, and sum squares that are not centred; so its
function gets our moments.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sdaccel.metrics.metric import OF_SETS, Metric, metric

FID = metric(Metric(name="fid", label="FID", direction="lower", fewest=OF_SETS, place=30, screen=True, panel=30))
PLUG_IN = metric(Metric(name="fid_plug_in", label="FID, plug-in", direction="lower", fewest=OF_SETS, interval=False))
BLOCK = 4096


def blocks(x: Tensor, size: int = BLOCK) -> Iterator[Tensor]:
    """Rows in float64, `size` at a time."""
    return (rows.double() for rows in x.split(size))


@dataclass(frozen=True)
class Moments:
    """Count, mean (D,) and covariance (D, D) of a feature set, unbiased (division by n - 1)."""

    n: int
    mean: Tensor
    covariance: Tensor


def moments(x: Tensor) -> Moments:
    """Two passes over (N, D) features: the mean, then products of centred rows."""
    if len(x) < 2:
        raise ValueError(f"a covariance needs two or more samples, not {len(x)}")
    mean = sum((rows.sum(0) for rows in blocks(x)), torch.zeros(x.shape[1], dtype=torch.float64, device=x.device)) / len(x)
    scatter = torch.zeros(x.shape[1], x.shape[1], dtype=torch.float64, device=x.device)
    for rows in blocks(x):
        centred = rows - mean
        scatter.addmm_(centred.mT, centred)
    return Moments(len(x), mean, scatter / (len(x) - 1))


def root(covariance: Tensor) -> Tensor:
    """Symmetric square root; eigenvalues that are zero to rounding count as zero."""
    values, vectors = torch.linalg.eigh(covariance)
    values = torch.where(values > len(values) * torch.finfo(values.dtype).eps * values[-1], values, 0)
    return (vectors * values.sqrt()) @ vectors.mT


def frechet_distance(a: Moments, b: Moments) -> float:
    import sdaccel.torchvision_guard  # noqa: F401, I001  (before torchmetrics)
    from torchmetrics.image.fid import _compute_fid

    return float(_compute_fid(a.mean, a.covariance, b.mean, b.covariance))


def fid(x: Tensor, y: Tensor) -> float:
    """The customary plug-in value: biased upward by roughly D^2 / N, so compare it at one N only."""
    return frechet_distance(moments(x), moments(y))
