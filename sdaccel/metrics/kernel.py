"""Kernel distances between feature sets: KID (Binkowski et al. 2018) and CMMD (Jayasumana et al. 2024).

    MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y), pairs x != x': unbiased, so it may be negative

Of m samples of a stratum only m - 1 make a pair with one of them, as they would of all n; they count for m then.

Where a sample is several rows, k of two samples is the mean over these, and i != j stands for samples.

The kernel matrix is never stored, only blocks of it. KID's kernel is torchmetrics'. The mean over pairs is ours: torchmetrics
and clean-fid average over random subsets of one size, so their figure is another one each time and has no influences; in one
subset of all samples it is ours. CMMD code that keeps the kernel's diagonal gives figures above ours by about
1000 (1 - E k) (1/n + 1/m).
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from sdaccel.metrics.distances import Linearised, centred, difference_interval, distance_interval
from sdaccel.metrics.frechet import blocks
from sdaccel.metrics.metric import OF_SETS, Metric, metric

KID = metric(Metric(name="kid", label="KID", direction="lower", fewest=OF_SETS, place=40, screen=True))
DIFFERENCE = metric(Metric(name="kid_difference", label="KID − baseline's", direction="lower", fewest=OF_SETS, difference=True))
CMMD = metric(Metric(name="cmmd", label="CMMD", direction="lower", fewest=OF_SETS, place=50))
BLOCK = 2048
CMMD_SIGMA, CMMD_SCALE = 10.0, 1000.0

Kernel = Callable[[Tensor, Tensor], Tensor]


def polynomial(x: Tensor, y: Tensor) -> Tensor:
    """(x.y / D + 1)^3, (n, m)."""
    import sdaccel.torchvision_guard  # noqa: F401, I001  (before torchmetrics)
    from torchmetrics.image.kid import poly_kernel

    return poly_kernel(x, y)


def gaussian(x: Tensor, y: Tensor, *, sigma: float) -> Tensor:
    """exp(-|x - y|^2 / (2 sigma^2)), (n, m)."""
    squares = x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.mT
    return torch.exp(squares.clamp_min(0) / (-2 * sigma**2))


def _size(x: Tensor) -> int:
    """Samples of a block."""
    return BLOCK if x.ndim == 2 else max(BLOCK // x.shape[1], 1)


def _of_samples(kernel: Kernel, a: Tensor, b: Tensor) -> Tensor:
    """(n, m), of samples that are several rows the mean over these."""
    if a.ndim == 2:
        return kernel(a, b)
    k = kernel(a.flatten(0, 1), b.flatten(0, 1))
    return k.view(len(a), a.shape[1], len(b), b.shape[1]).mean((1, 3))


def _cross_means(kernel: Kernel, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Means of k(x_i, y_j) over j, (n,), and over i, (m,)."""
    rows = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    columns = torch.zeros(len(y), dtype=torch.float64, device=x.device)
    for row, a in zip(rows.split(_size(x)), blocks(x, _size(x)), strict=True):
        for column, b in zip(columns.split(_size(y)), blocks(y, _size(y)), strict=True):
            k = _of_samples(kernel, a, b)
            row += k.sum(1)
            column += k.sum(0)
    return rows / len(y), columns / len(x)


def _own_means(kernel: Kernel, x: Tensor, strata: Tensor | None) -> Tensor:
    """Means of k(x_i, x_j) over j, (n,), j != i standing for i within its stratum."""
    own = torch.zeros(len(x), dtype=torch.int64, device=x.device) if strata is None else strata.to(x.device)
    extra = 1 / (own.bincount().double() - 1)[own]
    rows = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    size = _size(x)
    places = list(zip(own.split(size), extra.split(size), strict=True))
    for i, (row, a, (stratum, more)) in enumerate(zip(rows.split(size), blocks(x, size), places, strict=True)):
        for j, (b, (other, _)) in enumerate(zip(blocks(x, size), places, strict=True)):
            k = _of_samples(kernel, a, b)
            if i == j:
                k.fill_diagonal_(0)
            row += k.sum(1) + more * torch.where(stratum[:, None] == other, k, 0).sum(1)
    return rows / len(x)


def linearised_mmd(x: Tensor, y: Tensor, strata: Tensor | None = None, *, kernel: Kernel, scale: float = 1.0) -> Linearised:
    """Unbiased MMD^2 and the influence of every sample; `strata` are those of x."""
    if min(len(x), len(y)) < 2:
        raise ValueError(f"an unbiased MMD needs two or more samples in each set, not {len(x)} and {len(y)}")
    xx, yy = _own_means(kernel, x, strata), _own_means(kernel, y, None)
    xy, yx = _cross_means(kernel, x, y)
    value = float(xx.mean() + yy.mean() - 2 * xy.mean())
    return Linearised(scale * value, (centred(2 * scale * (xx - xy), strata), centred(2 * scale * (yy - yx), None)))


def unit(features: Tensor) -> Tensor:
    return features / features.norm(dim=-1, keepdim=True)


def kid(x: Tensor, y: Tensor, strata: Tensor | None = None) -> Linearised:
    return linearised_mmd(x, y, strata, kernel=polynomial)


def cmmd(x: Tensor, y: Tensor, strata: Tensor | None = None) -> Linearised:
    """Of CLIP image features, which are brought to unit length here."""
    return linearised_mmd(unit(x), unit(y), strata, kernel=partial(gaussian, sigma=CMMD_SIGMA), scale=CMMD_SCALE)


kid_interval = partial(distance_interval, kid, extrapolate=False)
cmmd_interval = partial(distance_interval, cmmd, extrapolate=False)
kid_difference = partial(difference_interval, kid, extrapolate=False)
