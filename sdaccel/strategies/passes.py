"""What strategies with two models ask of one: what it says of a scale, in one pass with the scales before it."""

import torch
from torch import Tensor

from sdaccel.generators.nextscale.seam import Pass, ScaleSeam


def said_of(seam: ScaleSeam, scale: int, *, first: int, bias: Tensor | None = None) -> Pass:
    """What the model says of a scale in one pass over scales first .. scale of the canvas, behind what is cached."""
    canvas = seam.canvas
    maps = [canvas.input_of(k) for k in range(max(first, 1), scale + 1)]
    said = seam.guided(torch.cat(maps, 1) if maps else None, first=first, last=scale, bias=bias)
    return said.split(canvas.layout.lengths(first, scale))[-1]


def make(seam: ScaleSeam, scale: int, said: Pass) -> None:
    """Tokens of the scale, and the canvas behind it."""
    tokens, codes = seam.draw(said, scale)
    seam.paint(scale, tokens, codes)
