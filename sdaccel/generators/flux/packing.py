"""Tokens of the flow transformer: 2 x 2 patches of latents or pixels, row by row."""

import torch
from torch import Tensor

PATCH = 2
"""Side of a packed patch."""


def pack(maps: Tensor) -> Tensor:
    """(B, C, H, W) to (B, H W / 4, 4 C); within a token channels come first, then rows, then columns."""
    batch, channels, height, width = maps.shape
    rows, columns = height // PATCH, width // PATCH
    patches = maps.view(batch, channels, rows, PATCH, columns, PATCH).permute(0, 2, 4, 1, 3, 5)
    return patches.reshape(batch, rows * columns, channels * PATCH**2)


def unpack_maps(tokens: Tensor, *, height: int, width: int) -> Tensor:
    """(B, L, 4 C) back to (B, C, H, W)."""
    rows, columns, channels = height // PATCH, width // PATCH, tokens.shape[-1] // PATCH**2
    patches = tokens.view(len(tokens), rows, columns, channels, PATCH, PATCH).permute(0, 3, 1, 4, 2, 5)
    return patches.reshape(len(tokens), channels, height, width)


def position_ids(rows: int, columns: int) -> Tensor:
    """(L, 3) float: 0, row and column of every token."""
    grid = torch.cartesian_prod(torch.arange(rows), torch.arange(columns))
    return torch.cat([torch.zeros(len(grid), 1), grid], 1)
