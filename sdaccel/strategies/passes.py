"""What strategies with two models ask of one: the logits of a scale, read in one pass with the scales before it."""

import torch
from torch import Tensor

from sdaccel.generators.nextscale.scales import lengths
from sdaccel.generators.nextscale.seam import ScaleSeam


def logits_of(seam: ScaleSeam, scale: int, *, first: int, bias: Tensor | None = None) -> Tensor:
    """Guided logits (B, l_k, V) of a scale from one pass over scales first .. scale of the canvas, behind what is cached."""
    canvas = seam.canvas
    maps = [canvas.input_of(k) for k in range(max(first, 1), scale + 1)]
    logits = seam.guided(torch.cat(maps, 1) if maps else None, first=first, last=scale, bias=bias)
    return logits[:, -lengths(canvas.patch_nums)[scale] :]


def make(seam: ScaleSeam, scale: int, logits: Tensor) -> None:
    """Tokens of the scale, and the canvas behind it."""
    tokens, codes = seam.draw(logits, scale)
    seam.paint(scale, tokens, codes)
