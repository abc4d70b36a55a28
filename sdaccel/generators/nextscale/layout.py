"""The geometry of a next-scale sequence: tokens, which are drawn and painted, apart from rows, which attention sees.

K scales · p_k side of scale k (`patch_nums`), p_k^2 tokens · rows as many, but for scale 0: its `prefix` rows make one token
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sdaccel.errors import BadInput

PHIS = 4
TICK_MARGIN = 1 / 3 / PHIS
TICKS = tuple(TICK_MARGIN + i * ((1 - TICK_MARGIN - TICK_MARGIN) / (PHIS - 1)) for i in range(PHIS))
"""Where on [0, 1] each phi convolution sits: 1/12, 13/36, 23/36, 11/12."""


def nearest_phi(scales: int) -> tuple[int, ...]:
    """The phi convolution of every scale: the first tick nearest to k / (K - 1)."""
    if scales < 2:
        raise BadInput(f"patch_nums has {scales} scale(s); phi sits at k / (K - 1), so give at least two scales.")
    return tuple(min(range(PHIS), key=lambda i: abs(TICKS[i] - k / (scales - 1))) for k in range(scales))


@dataclass(frozen=True)
class Layout:
    patch_nums: tuple[int, ...]
    prefix: int = 1
    """Rows of scale 0, of which the last one gives the logits of its token: HART's are its text."""
    phi: tuple[int | None, ...] = ()
    """The phi convolution of every scale, None for a scale without one; () spreads four over the scales, as VAR does."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "patch_nums", tuple(self.patch_nums))
        object.__setattr__(self, "phi", tuple(self.phi) or nearest_phi(self.scales))
        if len(self.phi) != self.scales:
            raise ValueError(f"{len(self.phi)} phi for {self.scales} scales")

    @property
    def scales(self) -> int:
        """K"""
        return len(self.patch_nums)

    @property
    def side(self) -> int:
        """p_K, of the canvas too."""
        return self.patch_nums[-1]

    def tokens(self, scale: int) -> int:
        """Tokens of a scale."""
        return self.patch_nums[scale] ** 2

    def token_start(self, scale: int) -> int:
        """Tokens of the scales before; of K: all."""
        return sum(p * p for p in self.patch_nums[:scale])

    def rows(self, scale: int) -> int:
        """Rows of a scale in attention."""
        return self.tokens(scale) if scale else self.prefix

    def row_start(self, scale: int) -> int:
        """Rows of the scales before; of K: all."""
        return self.token_start(scale) + self.prefix - self.tokens(0) if scale else 0

    def lengths(self, first: int = 0, last: int | None = None) -> list[int]:
        """Tokens of every scale from first to last."""
        return [p * p for p in self.patch_nums[first : None if last is None else last + 1]]

    def token_rows(self, h: Tensor, *, first: int) -> Tensor:
        """Of the rows of a pass that begins at scale `first`, (R, rows, C), those that give logits."""
        others = 0 if first else self.prefix - self.tokens(0)
        return h[:, others:] if others else h

    def row_scales(self) -> Tensor:
        """The scale of every row, int64."""
        return torch.cat([torch.full((self.rows(k),), k) for k in range(self.scales)])

    def visible(self, first: int = 0, last: int | None = None) -> Tensor:
        """Block-causal visibility of the rows of scales first .. last over all rows up to the last one, bool.

        A query sees every key of its own and of earlier scales.
        """
        end = self.scales if last is None else last + 1
        scale = self.row_scales()[: self.row_start(end)]
        return scale[self.row_start(first) :].unsqueeze(1) >= scale.unsqueeze(0)

    def block_causal_bias(self, first: int = 0, last: int | None = None) -> Tensor:
        """Additive attention bias, float32, of what is `visible`: 0 where it is, else -inf."""
        seen = self.visible(first, last)
        return torch.zeros(seen.shape).masked_fill(~seen, float("-inf"))


def check_patch_nums(patch_nums: Sequence[int], *, image_size: int, factor: int = 16) -> None:
    """Raise BadInput unless the scales start at one token, never shrink and end at the image's side / factor."""
    if len(patch_nums) < 2 or patch_nums[0] != 1 or list(patch_nums) != sorted(patch_nums):
        raise BadInput(
            f"generator.patch_nums={list(patch_nums)} is not a scale list; give at least two sides, the first one 1 and none "
            "smaller than the one before."
        )
    if image_size != factor * patch_nums[-1]:
        raise BadInput(
            f"generator.image_size={image_size} does not fit patch_nums={list(patch_nums)}, which make "
            f"{factor * patch_nums[-1]} px ({factor} per cell of the last scale); set image_size={factor * patch_nums[-1]}."
        )
