"""Improved precision and recall (Kynkäänniemi et al. 2019): the share of one set inside the other's k-NN balls."""

import torch
from torch import Tensor

from sdaccel.metrics.frechet import blocks
from sdaccel.metrics.metric import OF_SETS, Metric, metric

PRECISION = metric(Metric(name="precision", label="precision", direction="higher", fewest=OF_SETS, interval=False, place=60))
RECALL = metric(Metric(name="recall", label="recall", direction="higher", fewest=OF_SETS, interval=False, place=70))
BLOCK = 1024


def _squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """(n, m). Rounding of the expanded square is cut off, so that equal rows are at distance 0 and lie in balls of radius 0."""
    norms = a.square().sum(1)[:, None] + b.square().sum(1)
    squares = norms - 2 * a @ b.mT
    return torch.where(squares > 1e-13 * a.shape[1] ** 0.5 * norms, squares, 0)


def squared_radii(x: Tensor, *, k: int) -> Tensor:
    """Squared distance of every row to its k-th nearest other row, (n,)."""
    if len(x) <= k:
        raise ValueError(f"{k} nearest neighbours need more than {len(x)} samples")
    out = []
    for a in blocks(x, BLOCK):
        nearest = torch.full((len(a), k + 1), torch.inf, dtype=torch.float64, device=x.device)
        for b in blocks(x, BLOCK):
            both = torch.cat([nearest, _squared_distances(a, b)], 1)
            nearest = both.topk(k + 1, largest=False).values  # the row itself is one of them
        out.append(nearest[:, k])
    return torch.cat(out)


def coverage(points: Tensor, centres: Tensor, radii: Tensor) -> float:
    """Share of points that lie in at least one ball."""
    inside = 0
    for a in blocks(points, BLOCK):
        hit = torch.zeros(len(a), dtype=torch.bool, device=a.device)
        for b, r in zip(blocks(centres, BLOCK), radii.split(BLOCK), strict=True):
            hit |= (_squared_distances(a, b) <= r).any(1)
        inside += int(hit.sum())
    return inside / len(points)


def precision_recall(real: Tensor, generated: Tensor, *, k: int = 3) -> tuple[float, float]:
    """Precision: generated samples near real ones; recall: real samples near generated ones. Depends on N: compare at one N."""
    precision = coverage(generated, real, squared_radii(real, k=k))
    return precision, coverage(real, generated, squared_radii(generated, k=k))
