"""Groups of consecutive tokens, the last one ragged."""

import torch
from torch import Tensor
from torch.nn.functional import pad


def grouped(x: Tensor, size: int) -> Tensor:
    """(..., N, D) to (..., G, size, D); rows of zeros fill the last group."""
    missing = -x.shape[-2] % size
    return pad(x, (0, 0, 0, missing)).unflatten(-2, (-1, size))


def ungrouped(x: Tensor, length: int) -> Tensor:
    """(..., G, size, D) back to (..., N, D)."""
    return x.flatten(-3, -2)[..., :length, :]


def group_means(x: Tensor, size: int) -> Tensor:
    """(..., G, D): the mean over the rows that a group really has."""
    return torch.stack([rows.mean(-2) for rows in x.split(size, -2)], -2)
