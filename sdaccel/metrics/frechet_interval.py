"""FID without its bias, with an interval: the Fréchet distance expanded to second order around the sampled moments.

    v = x - mu1, w = U' S2^(1/2) v        S2^(1/2) S1^(1/2) = U diag(s) V'
    influence of x      2 (mu1 - mu2)' v + |v|^2 - sum_i w_i^2 / s_i   (its mean is subtracted by the variance)
    bias from set 1     (tr S1 + 1/2 sum_ij E[H_ij^2] / (s_i s_j (s_i + s_j))) / n1,   H = w w' - diag(s^2)

and the same for set 2 with V and S1^(1/2). No sampling: one singular value decomposition and one pass over the rows.
"""

import torch
from torch import Tensor

from sdaccel.errors import BadInput
from sdaccel.metrics.frechet import Moments, blocks, moments, root
from sdaccel.metrics.intervals import Interval, Linearised, difference_interval, distance_interval
from sdaccel.metrics.metric import OF_SETS, Metric, metric

DIFFERENCE = metric(Metric(name="fid_difference", label="FID − baseline's", direction="lower", fewest=OF_SETS, difference=True))


def linearised_fid(x: Tensor, y: Tensor) -> Linearised:
    """Fréchet distance less its first-order bias, and the influence of every sample."""
    a, b = moments(x), moments(y)
    root_a, root_b = root(a.covariance), root(b.covariance)
    u, s, vh = torch.linalg.svd(root_b @ root_a)
    shift = a.mean - b.mean
    psi_a, bias_a = _side(x, a, shift, root_b @ u, s)
    psi_b, bias_b = _side(y, b, -shift, root_a @ vh.mT, s)
    plug_in = shift.square().sum() + a.covariance.trace() + b.covariance.trace() - 2 * s.sum()
    return Linearised(float(plug_in - bias_a - bias_b), (psi_a, psi_b))


def _side(x: Tensor, own: Moments, shift: Tensor, to_w: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """Influences (n,) and bias of one set; directions that either set lacks carry none."""
    alive = s > len(s) * torch.finfo(s.dtype).eps * s[0]
    inverse = torch.where(alive, s.reciprocal(), 0)
    psi, fourth, second = [], torch.zeros_like(to_w), torch.zeros_like(s)
    for rows in blocks(x):
        v = rows - own.mean
        squares = (v @ to_w).square()
        psi.append(2 * v @ shift + v.square().sum(1) - squares @ inverse)
        fourth.addmm_(squares.mT, squares)
        second += squares.sum(0)
    fourth, second, values = fourth / own.n, second / own.n, s.square()
    spread = fourth - torch.diag(2 * values * second - values.square())  # E[H_ij^2]
    curvature = (inverse[:, None] * inverse / (s[:, None] + s).clamp_min(torch.finfo(s.dtype).tiny) * spread).sum()
    return torch.cat(psi), (own.covariance.trace() + curvature / 2) / own.n


def _check(**sets: Tensor) -> None:
    for name, x in sets.items():
        n, d = x.shape
        if n < 4 * d:
            raise BadInput(
                f"an interval of FID over {d} features needs {4 * d} or more samples and the {name} set has {n}; "
                "add samples, or use KID or CMMD."
            )


def fid_interval(x: Tensor, y: Tensor) -> Interval:
    """FID in the limit of many samples; both sets are samples."""
    _check(first=x, second=y)
    return distance_interval(linearised_fid, x, y, extrapolate=True)


def fid_difference(a: Tensor, b: Tensor, reference: Tensor, *, paired: bool) -> Interval:
    """FID(a, reference) - FID(b, reference) in the limit; paired: row i of a and b came from one noise."""
    _check(first=a, second=b, reference=reference)
    return difference_interval(linearised_fid, a, b, reference, paired=paired, extrapolate=True)
