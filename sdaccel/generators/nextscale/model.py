"""What the loop asks of a next-scale model: a transformer with its tokenizer.

B samples · R = 2B rows [cond; uncond] · l tokens of scales first .. last · C width · V codes
"""

from collections.abc import Sized
from typing import Any, Protocol

import torch
from torch import Tensor

from sdaccel.generators.nextscale.canvas import Canvas
from sdaccel.generators.nextscale.kv import KVCache
from sdaccel.generators.nextscale.layout import Layout
from sdaccel.generators.nextscale.seam import Sublayers
from sdaccel.generators.nextscale.tokens import Race


class NextScaleModel(Protocol):
    """Weights alone: whatever belongs to one generation comes in as an argument."""

    layout: Layout
    layers: int
    heads: int
    head_dim: int
    device: torch.device
    dtype: torch.dtype
    """Format of keys and values."""
    codebook: Tensor
    """(V, Cvae)"""

    def prepare(self, condition: Sized) -> Any:
        """What every scale reads of the conditions of B samples: the `given` of the other methods."""
        ...

    def begin(self, given: Any) -> Tensor:
        """Input of scale 0, (R, rows, C)."""
        ...

    def embed(self, given: Any, maps: Tensor, *, first: int, last: int) -> Tensor:
        """Input of scales first .. last (first > 0) from the canvas's maps (B, l, Cvae), (R, l, C)."""
        ...

    def run_blocks(
        self, given: Any, x: Tensor, *, first: int, last: int, kv: KVCache, bias: Tensor | None, sublayers: Sublayers | None
    ) -> Tensor:
        """(R, rows, C) through all blocks, block-causal unless a bias says otherwise; keys and values join the cache."""
        ...

    def logits(self, given: Any, h: Tensor) -> Tensor:
        """Unguided logits (R, l, V) of block output."""
        ...

    def codes_of(
        self, tokens: Tensor, hidden: Tensor | None, scale: int, *, weights: Tensor | None, t: float, noise: Race
    ) -> Tensor:
        """What a scale is painted with, (B, l, Cvae): the codes of its tokens (B, l), or their mix by `weights` (B, l, V).

        A residual head adds what it makes of the block output `hidden` (R, l, C), with guidance t on the noise of the samples.
        """
        ...

    def canvas(self, rows: int) -> Canvas:
        """An empty one for so many samples."""
        ...

    def decode(self, f_hat: Tensor) -> Tensor:
        """Images in [-1, 1]."""
        ...
