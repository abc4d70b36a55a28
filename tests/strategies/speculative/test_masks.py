"""Laws of the six masks, on any scales; upstream's own are among the golden cases."""

import pytest
import torch

from sdaccel.generators.nextscale.layout import Layout
from sdaccel.generators.var.model import PATCH_NUMS
from sdaccel.strategies.speculative.masks import CORRECT, MASKS, bias, first_fed, visibility

LAYOUTS = [(1, 2), (1, 2, 3, 4), (1, 1, 3), (1, 3, 3, 5, 6)]


def by_hand(sides: tuple[int, ...], entry: int, sd_mask: int) -> list[list[bool]]:
    """The table of masks.py, pair by pair."""
    tokens = [
        (scale, i) for scale in range(first_fed(entry=entry, sd_mask=sd_mask), entry + 1) for i in range(sides[scale] ** 2)
    ]

    def sees(row: tuple[int, int], column: tuple[int, int]) -> bool:
        if sd_mask in (2, 3, 5) and row[0] == entry:
            return True
        if sd_mask in (1, 2):
            return column[0] < row[0] or row == column
        return column[0] <= row[0] if sd_mask == 3 else column[0] == row[0]

    return [[sees(row, column) for column in tokens] for row in tokens]


@pytest.mark.parametrize("sides", LAYOUTS)
@pytest.mark.parametrize("sd_mask", MASKS)
def test_every_pair_of_tokens_is_as_the_table_says(sides: tuple[int, ...], sd_mask: int) -> None:
    for entry in range(len(sides)):
        assert visibility(Layout(sides), entry=entry, sd_mask=sd_mask).tolist() == by_hand(sides, entry, sd_mask)


@pytest.mark.parametrize("sides", [(1, 2, 3, 4), (1, 3, 3, 5, 6), *PATCH_NUMS.values()])
def test_one_mask_alone_is_the_models_own_at_every_entry(sides: tuple[int, ...]) -> None:
    def own(entry: int, sd_mask: int) -> bool:
        layout = Layout(sides)
        end = layout.row_start(entry + 1)
        return torch.equal(visibility(layout, entry=entry, sd_mask=sd_mask), layout.visible()[:end, :end])

    assert [m for m in MASKS if all(own(e, m) for e in range(5) if e < len(sides))] == [CORRECT]


@pytest.mark.parametrize("sd_mask", MASKS)
def test_no_row_is_blind_and_the_bias_says_the_same(sd_mask: int) -> None:
    seen, additive = (make(Layout((1, 2, 3, 4)), entry=2, sd_mask=sd_mask) for make in (visibility, bias))
    assert seen.any(1).all()
    assert torch.equal(additive == 0, seen) and additive[~seen].isneginf().all()


@pytest.mark.parametrize("sd_mask", MASKS)
def test_masks_are_made_on_the_device_they_are_used_on(sd_mask: int) -> None:
    assert visibility(Layout(PATCH_NUMS[512]), entry=9, sd_mask=sd_mask, device="meta").device.type == "meta"
    assert bias(Layout(PATCH_NUMS[512]), entry=9, sd_mask=sd_mask, device="meta").device.type == "meta"
