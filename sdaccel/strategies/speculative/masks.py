"""Who sees whom when the target reads a drafted prefix in one pass: SDVAR's six masks, for any scales.

e entry scale, the first one that the target makes · the pass holds the L rows of scales first .. e

|sd_mask|a prefix row i sees|a row of e sees|
|-|-|-|
|0|nothing: the prefix is not fed|its own scale|
|1|earlier scales and itself|earlier scales and itself|
|2|earlier scales and itself|everything up to e|
|3|its own and earlier scales|everything up to e|
|4|its own scale|its own scale|
|5|its own scale|everything up to e|

Only 3 is what the model was trained on. The others are what SDVAR offers, kept for the evidence that they lacked. Rows of later
scales see everything that was fed, whatever the mask.
"""

import torch
from torch import Tensor

from sdaccel.generators.nextscale.layout import Layout

MASKS = range(6)
CORRECT = 3


def first_fed(*, entry: int, sd_mask: int) -> int:
    """The first scale that the target's pass holds."""
    return entry if sd_mask == 0 else 0


def visibility(layout: Layout, *, entry: int, sd_mask: int, device: torch.device | str = "cpu") -> Tensor:
    """Bool (L, L) of the pass: True where a query row may see a key column."""
    start, end = layout.row_start(first_fed(entry=entry, sd_mask=sd_mask)), layout.row_start(entry + 1)
    scale = layout.row_scales().to(device)[start:end]
    row, column = scale.unsqueeze(1), scale.unsqueeze(0)
    if sd_mask == CORRECT:
        return row >= column
    itself = torch.eye(len(scale), dtype=torch.bool, device=device)
    seen = (row > column) | itself if sd_mask in (1, 2) else row == column
    return seen | (row == entry) if sd_mask in (2, 5) else seen


def bias(layout: Layout, *, entry: int, sd_mask: int, device: torch.device | str = "cpu") -> Tensor:
    """Additive attention bias of the pass, float32 (L, L): 0 where visible, else -inf."""
    seen = visibility(layout, entry=entry, sd_mask=sd_mask, device=device)
    return torch.zeros(seen.shape, device=device).masked_fill(~seen, float("-inf"))


def without_prefix(layout: Layout, *, entry: int, scale: int, device: torch.device | str = "cpu") -> Tensor:
    """Additive bias of a scale >= e under mask 0, over all rows up to its own: the places of the prefix are hidden."""
    hidden = torch.zeros(layout.rows(scale), layout.row_start(scale + 1), device=device)
    hidden[:, : layout.row_start(entry)] = float("-inf")
    return hidden
