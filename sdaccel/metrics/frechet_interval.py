"""FID without its bias, with an interval: the Fréchet distance expanded to second order around the sampled moments.

    v = x - mu1, w = U' S2^(1/2) v        S2^(1/2) S1^(1/2) = U diag(s) V'
    influence of x      2 (mu1 - mu2)' v + |v|^2 - sum_i w_i^2 / s_i   (less its mean)
    bias from set 1     (tr W1 + 1/2 sum_ij var(w_i w_j) / (s_i s_j (s_i + s_j))) / n1

and the same for set 2 with V and S1^(1/2). No sampling: one singular value decomposition and one pass over the rows. Variances
and W1, the covariance, are those within strata; without strata W1 = S1. Where a sample is several rows, its influence and its
w_i w_j are means over them, and W1 is the covariance of the means of samples.
"""

import torch
from torch import Tensor

from sdaccel.errors import BadInput
from sdaccel.metrics.distances import Linearised, centred, difference_interval, distance_interval, groups, means
from sdaccel.metrics.frechet import BLOCK, Moments, blocks, moments, root
from sdaccel.metrics.intervals import Interval
from sdaccel.metrics.metric import OF_SETS, Metric, metric

DIFFERENCE = metric(Metric(name="fid_difference", label="FID − baseline's", direction="lower", fewest=OF_SETS, difference=True))
FEW = 64
"""Samples of several rows at a time: each has a matrix."""


def linearised_fid(x: Tensor, y: Tensor, strata: Tensor | None = None) -> Linearised:
    """Fréchet distance less its first-order bias, and the influence of every sample; `strata` are those of x."""
    (a, within_a), (b, within_b) = _moments(x, strata), _moments(y, None)
    root_a, root_b = root(a.covariance), root(b.covariance)
    u, s, vh = torch.linalg.svd(root_b @ root_a)
    shift = a.mean - b.mean
    psi_a, curvature_a = _side(x, strata, a, shift, root_b @ u, s)
    psi_b, curvature_b = _side(y, None, b, -shift, root_a @ vh.mT, s)
    plug_in = shift.square().sum() + a.covariance.trace() + b.covariance.trace() - 2 * s.sum()
    bias = (within_a.trace() + curvature_a / 2) / a.n + (within_b.trace() + curvature_b / 2) / b.n
    return Linearised(float(plug_in - bias), (psi_a, psi_b))


def _moments(x: Tensor, strata: Tensor | None) -> tuple[Moments, Tensor]:
    """Unbiased moments of the whole, and the covariance within strata."""
    parts = [moments(means(x)[members]) for members in groups(strata)]
    within = sum((part.n * part.covariance for part in parts), torch.zeros_like(parts[0].covariance)) / len(x)
    rows = moments(x.flatten(0, -2))
    return Moments(len(x), rows.mean, within / len(x) + (rows.n - 1) / rows.n * rows.covariance), within


def _side(x: Tensor, strata: Tensor | None, own: Moments, shift: Tensor, to_w: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """Influences (n,) of one set and the curvature of the distance; directions that either set lacks carry none."""
    alive = s > len(s) * torch.finfo(s.dtype).eps * s[0]
    inverse = torch.where(alive, s.reciprocal(), 0)
    psi, spread = torch.empty(len(x), dtype=s.dtype, device=s.device), torch.zeros_like(to_w)
    for members in groups(strata):
        found, fourth, products = [], torch.zeros_like(to_w), torch.zeros_like(to_w)
        for rows in blocks(x[members], BLOCK if x.ndim == 2 else FEW):
            v = rows - own.mean
            w = v @ to_w
            influence = 2 * v @ shift + v.square().sum(-1) - w.square() @ inverse
            found.append(influence if x.ndim == 2 else influence.mean(1))
            _add_products(w, products, fourth)
        psi[members] = torch.cat(found)
        n = sum(map(len, found))
        spread += (fourth - products.square() / n) * (n / (n - 1)) / len(x)  # var(w_i w_j) within, a share of n / len(x)
    curvature = (inverse[:, None] * inverse / (s[:, None] + s).clamp_min(torch.finfo(s.dtype).tiny) * spread).sum()
    return centred(psi, strata), curvature


def _add_products(w: Tensor, products: Tensor, fourth: Tensor) -> None:
    """Over samples the sums of w_i w_j and of its squares."""
    if w.ndim == 2:
        squares = w.square()
        products.addmm_(w.mT, w)
        fourth.addmm_(squares.mT, squares)
        return
    each = w.mT @ w / w.shape[1]
    products += each.sum(0)
    fourth += each.square().sum(0)


def _check(**sets: Tensor) -> None:
    for name, x in sets.items():
        n, d = len(x), x.shape[-1]
        if n < 4 * d:
            raise BadInput(
                f"an interval of FID over {d} features needs {4 * d} or more samples and the {name} set has {n}; "
                "add samples, or use KID or CMMD."
            )


def fid_interval(x: Tensor, y: Tensor, *, strata: Tensor | None = None) -> Interval:
    """FID in the limit of many samples; both sets are samples, x of these strata."""
    _check(first=x, second=y)
    return distance_interval(linearised_fid, x, y, extrapolate=True, strata=strata)


def fid_difference(a: Tensor, b: Tensor, reference: Tensor, *, paired: bool, strata: Tensor | None = None) -> Interval:
    """FID(a, reference) - FID(b, reference) in the limit; paired: row i of a and b came from one noise."""
    _check(first=a, second=b, reference=reference)
    return difference_interval(linearised_fid, a, b, reference, paired=paired, extrapolate=True, strata=strata)
