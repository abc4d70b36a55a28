"""SDVAR's six masks, to look at and to compute with."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from sdaccel.compat.sdvar_arguments import whole
from sdaccel.errors import BadInput
from sdaccel.generators.nextscale.layout import Layout
from sdaccel.generators.var.model import PATCH_NUMS
from sdaccel.strategies.speculative.masks import CORRECT, MASKS, bias, first_fed, visibility

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def create_experimental_masks(entry_num: int, *, patch_nums: Sequence[int] = PATCH_NUMS[256]) -> dict[int, Tensor]:
    """Of every sd_mask the additive bias of the target's first pass, float32 (L, L): 0 where visible, else -inf.

    L are the rows of scales 0 .. entry_num; mask 0 feeds no prefix, so there they are those of entry_num alone.
    """
    layout = _layout(patch_nums)
    entry = _entry(entry_num, layout)
    return {sd_mask: bias(layout, entry=entry, sd_mask=sd_mask) for sd_mask in MASKS}


def visualize_mask_pattern(sd_mask: int, entry_num: int, *, patch_nums: Sequence[int] = PATCH_NUMS[256]) -> "Figure":
    """Who sees whom in the target's first pass: rows are queries, columns keys, white lines part the scales."""
    from matplotlib.figure import Figure

    layout = _layout(patch_nums)
    sd_mask = whole("sd_mask", sd_mask, low=MASKS[0], high=MASKS[-1], why=f"SDVAR has six, and {CORRECT} is the correct one")
    entry = _entry(entry_num, layout)
    seen = visibility(layout, entry=entry, sd_mask=sd_mask).numpy()
    first = first_fed(entry=entry, sd_mask=sd_mask)
    figure = Figure(figsize=(3.3, 3.3))
    axes = figure.subplots()
    axes.imshow(seen, cmap="Blues", vmin=0, vmax=1.4, interpolation="nearest")
    for scale in range(first + 1, entry + 1):
        edge = layout.row_start(scale) - layout.row_start(first) - 0.5
        axes.axhline(edge, color="white", linewidth=0.8)
        axes.axvline(edge, color="white", linewidth=0.8)
    axes.set_title(f"sd_mask {sd_mask}, scales {first} to {entry}")
    axes.set_xlabel("key")
    axes.set_ylabel("query")
    return figure


def _entry(entry_num: Any, layout: Layout) -> int:
    last = layout.scales - 1
    return whole("entry_num", entry_num, low=0, high=last, why=f"the target makes that scale, and {last} is the last one")


def _layout(patch_nums: Any) -> Layout:
    if isinstance(patch_nums, str) or not isinstance(patch_nums, Iterable):
        raise BadInput(f"patch_nums={patch_nums} is no list of sides; give one such as {list(PATCH_NUMS[256])}.")
    sides = [whole(f"patch_nums[{i}]", side, low=1) for i, side in enumerate(patch_nums)]
    if not sides or sides != sorted(sides):
        raise BadInput(f"patch_nums={sides} is no scale list; give at least one side, and none smaller than the one before.")
    return Layout(tuple(sides))
