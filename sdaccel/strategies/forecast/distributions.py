"""How far from Gaussian are the differences that HiCache's Hermite polynomials assume to be Gaussian?

x (..., L, D) differences of tokens · z the same, every channel with mean 0 and variance 1 over its tokens
"""

import math

import torch
from torch import Tensor

EDGES = torch.linspace(-4, 4, 41)
"""Of the histogram's 40 bins; what lies outside is left out."""
PROJECTIONS, SEED = 16, 0
CRITICAL = 0.895
"""Of Lilliefors' statistic at 5 %, in Stephens' form for any n."""


def standardised(x: Tensor) -> Tensor:
    """z; a channel that does not vary stays 0."""
    centred = x - x.mean(-2, keepdim=True)
    spread = centred.square().mean(-2, keepdim=True).sqrt()
    return torch.where(spread > 0, centred / spread.clamp(min=torch.finfo(x.dtype).tiny), 0)


def skewness(z: Tensor) -> Tensor:
    """Mean over channels, (...)."""
    return z.pow(3).mean((-1, -2))


def excess_kurtosis(z: Tensor) -> Tensor:
    """Mean over channels, (...); 0 for a Gaussian."""
    return z.pow(4).mean((-1, -2)) - 3


def histogram(z: Tensor) -> Tensor:
    """(..., bins): density of the pooled values."""
    edges = EDGES.to(z)
    bins = torch.bucketize(z.flatten(-2), edges) - 1
    inside = (bins >= 0) & (bins < len(edges) - 1)
    counts = z.new_zeros((*z.shape[:-2], len(edges) - 1))
    counts.scatter_add_(-1, bins.clamp(0, len(edges) - 2), inside.to(z.dtype))
    return counts / (z.shape[-1] * z.shape[-2] * (edges[1] - edges[0]))


def rejected(z: Tensor, *, stride: int) -> Tensor:
    """(...): of random directions in channel space, the share along which tokens fail Lilliefors' test of normality at 5 %.

    If vectors were Gaussian every direction would be, and 5 % would fail. Neighbouring tokens are alike, which the test does
    not expect, so only every `stride`-th is looked at.
    """
    thinned = z[..., ::stride, :]
    generator = torch.Generator().manual_seed(SEED)
    directions = torch.randn(z.shape[-1], PROJECTIONS, generator=generator).to(z)
    along = thinned @ directions
    along = (along - along.mean(-2, keepdim=True)) / along.std(-2, keepdim=True)
    return (lilliefors(along.transpose(-1, -2)) > CRITICAL).to(z.dtype).mean(-1)


def lilliefors(values: Tensor) -> Tensor:
    """(..., n) with mean 0 and variance 1 to D (sqrt n - 0.01 + 0.85 / sqrt n), D the largest distance to the normal law."""
    n = values.shape[-1]
    law = torch.special.ndtr(values.sort(-1).values)
    above = (torch.arange(1, n + 1).to(law) / n - law).amax(-1)
    below = (law - torch.arange(n).to(law) / n).amax(-1)
    return torch.maximum(above, below) * (math.sqrt(n) - 0.01 + 0.85 / math.sqrt(n))
