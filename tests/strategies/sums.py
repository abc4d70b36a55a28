"""A forecast term by term: what the fused sums must equal."""

from collections.abc import Sequence

import torch
from torch import Tensor


def weighted_sum(anchors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """sum_j w_j A_j in at least float32: weights of both signs cancel, so half precision is too coarse."""
    wide = [anchor.to(torch.promote_types(anchor.dtype, torch.float32)) for anchor in anchors]
    return sum((weight * anchor for weight, anchor in zip(weights, wide, strict=True)), torch.zeros_like(wide[0]))
