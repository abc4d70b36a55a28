"""Neighbouring tokens in one group: image tokens ordered patch by patch instead of row by row.

Groups of consecutive tokens share their columns, so what is near in the picture should be near in the sequence. Any order is
exact as long as position ids move with the tokens.
"""

import torch
from torch import Tensor


def patch_order(rows: int, columns: int, *, chunk_size_1: int, chunk_size_2: int) -> Tensor:
    """perm with permuted[p] = original[perm[p]]: chunks row by row, inside them sub-chunks, inside those tokens.

    Chunks at the right and lower edge are smaller where the grid is no multiple of them.
    """
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    key = torch.zeros_like(row)
    for size in (chunk_size_1, chunk_size_2, 1):
        key = (key * (rows + 1) + row // size) * (columns + 1) + column // size
        row, column = row % size, column % size
    return key.flatten().argsort(stable=True)
