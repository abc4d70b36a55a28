"""Who sees whom when the target reads a drafted prefix in one pass: SDVAR's six masks, for any scales.

e entry scale, the first one that the target makes · the pass holds scales first .. e, L = o_{e+1} - o_first tokens

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

from collections.abc import Sequence

import torch
from torch import Tensor

from sdaccel.generators.nextscale.scales import levels, offsets

MASKS = range(6)
CORRECT = 3


def first_fed(*, entry: int, sd_mask: int) -> int:
    """The first scale that the target's pass holds."""
    return entry if sd_mask == 0 else 0


def visibility(patch_nums: Sequence[int], *, entry: int, sd_mask: int, device: torch.device | str = "cpu") -> Tensor:
    """Bool (L, L) of the pass: True where a query row may see a key column."""
    o = offsets(patch_nums)
    level = levels(patch_nums).to(device)[o[first_fed(entry=entry, sd_mask=sd_mask)] : o[entry + 1]]
    row, column = level.unsqueeze(1), level.unsqueeze(0)
    if sd_mask == CORRECT:
        return row >= column
    itself = torch.eye(len(level), dtype=torch.bool, device=device)
    seen = (row > column) | itself if sd_mask in (1, 2) else row == column
    return seen | (row == entry) if sd_mask in (2, 5) else seen


def bias(patch_nums: Sequence[int], *, entry: int, sd_mask: int, device: torch.device | str = "cpu") -> Tensor:
    """Additive attention bias of the pass, float32 (L, L): 0 where visible, else -inf."""
    seen = visibility(patch_nums, entry=entry, sd_mask=sd_mask, device=device)
    return torch.zeros(seen.shape, device=device).masked_fill(~seen, float("-inf"))


def without_prefix(patch_nums: Sequence[int], *, entry: int, scale: int, device: torch.device | str = "cpu") -> Tensor:
    """Additive bias (l_k, o_{k+1}) of a scale k >= e under mask 0: the places of the prefix are hidden."""
    o = offsets(patch_nums)
    hidden = torch.zeros(o[scale + 1] - o[scale], o[scale + 1], device=device)
    hidden[:, : o[entry]] = float("-inf")
    return hidden
