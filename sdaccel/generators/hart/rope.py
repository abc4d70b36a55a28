"""HART's positions: text tokens in a row, image tokens on the grid of the last scale, behind the text.

R rows · T text tokens · d head dimension · p side of a scale, P of the last
"""

import torch
from torch import Tensor

from sdaccel.generators.nextscale.layout import Layout

THETA = 10000.0


def text_frequencies(d: int) -> Tensor:
    """(d / 2,)"""
    return THETA ** (-torch.arange(0, d, 2, dtype=torch.float32) / d)


def image_frequencies(d: int) -> Tensor:
    """(d / 4,), of either axis."""
    return THETA ** (-torch.arange(0, d, 4, dtype=torch.float32) / d)


def text_angles(positions: Tensor, d: int) -> Tensor:
    """(R, T, d) of positions (R, T)."""
    angles = positions.float().unsqueeze(-1) * text_frequencies(d).to(positions.device)
    return angles.repeat(1, 1, 2)


def image_positions(side: int, *, full: int) -> Tensor:
    """(p^2, 2), row and column in cells of the last scale."""
    steps = torch.arange(side, dtype=torch.float32) * (full / side)
    return torch.cartesian_prod(steps, steps)


def image_angles(positions: Tensor, d: int) -> Tensor:
    """(R, l, d) of rows and columns (R, l, 2): [row, row, column, column], a quarter each.

    `rotate` pairs channel i with i + d/2, so a pair gets the row's angle on one side and the column's on the other: that is no
    rotation, but what the published weights were trained with.
    """
    row, column = (positions.unsqueeze(-1) * image_frequencies(d).to(positions.device)).unbind(-2)
    return torch.cat([row, row, column, column], -1)


def angles(positions: Tensor, layout: Layout, d: int) -> Tensor:
    """(R, rows of all scales, d) from the text's positions (R, T)."""
    begin = positions[:, -1].float().view(-1, 1, 1)
    places = [image_positions(side, full=layout.side) for side in layout.patch_nums[1:]]
    image = torch.cat(places).to(positions.device) + begin
    return torch.cat([text_angles(positions, d), image_angles(image, d)], 1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """(..., R, H, l, d) by cosines and sines (R, 1, l, d): x cos + [-high, low] sin, without a copy of the halves."""
    half = x.shape[-1] // 2
    low, high = x.chunk(2, -1)
    turned = x * cos
    turned[..., :half].addcmul_(high, sin[..., :half], value=-1)
    turned[..., half:].addcmul_(low, sin[..., half:])
    return turned
