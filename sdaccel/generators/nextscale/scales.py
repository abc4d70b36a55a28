"""The geometry of a next-scale sequence.

K scales · p_k side of scale k (`patch_nums`) · l_k = p_k^2 tokens · o_k offset of scale k · L = o_K tokens in all
"""

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

from sdaccel.errors import BadInput

PATCH_NUMS = {
    256: (1, 2, 3, 4, 5, 6, 8, 10, 13, 16),
    512: (1, 2, 3, 4, 6, 9, 13, 18, 24, 32),
}
"""Official sides of the scales by image side; the image has 16 pixels per cell of the last scale."""

PHIS = 4
TICK_MARGIN = 1 / 3 / PHIS
TICKS = tuple(TICK_MARGIN + i * ((1 - TICK_MARGIN - TICK_MARGIN) / (PHIS - 1)) for i in range(PHIS))
"""Where on [0, 1] each phi convolution sits: 1/12, 13/36, 23/36, 11/12."""

PUBLISHED_PHI = {
    10: (0, 0, 1, 1, 1, 2, 2, 3, 3, 3),
    14: (0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3),
}
"""Tables of the published models (VAR, HART), where exact ties were decided by float64 rounding."""


def lengths(patch_nums: Sequence[int]) -> list[int]:
    """l_k of every scale."""
    return [p * p for p in patch_nums]


def offsets(patch_nums: Sequence[int]) -> list[int]:
    """o_0 .. o_K: scale k is tokens [o_k, o_{k+1})."""
    return list(accumulate(lengths(patch_nums), initial=0))


def levels(patch_nums: Sequence[int]) -> Tensor:
    """The scale of every token, int64 (L,)."""
    return torch.cat([torch.full((n,), k) for k, n in enumerate(lengths(patch_nums))])


def visible(patch_nums: Sequence[int]) -> Tensor:
    """Block-causal visibility, bool (L, L): a query sees every key of its own and of earlier scales."""
    level = levels(patch_nums)
    return level.unsqueeze(1) >= level.unsqueeze(0)


def block_causal_bias(patch_nums: Sequence[int]) -> Tensor:
    """Additive attention bias, float32 (L, L): 0 where visible, else -inf."""
    seen = visible(patch_nums)
    return torch.zeros(seen.shape).masked_fill(~seen, float("-inf"))


def phi_indices(scales: int) -> tuple[int, ...]:
    """The phi convolution of every scale: the first tick nearest to k / (K - 1)."""
    if scales < 2:
        raise BadInput(f"patch_nums has {scales} scale(s); phi sits at k / (K - 1), so give at least two scales.")
    if scales in PUBLISHED_PHI:
        return PUBLISHED_PHI[scales]
    return tuple(min(range(PHIS), key=lambda i: abs(TICKS[i] - k / (scales - 1))) for k in range(scales))


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
