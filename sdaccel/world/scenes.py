"""Draw scenes: every attribute is a pure function of (split, index), made of Philox words, the same on CPU and GPU.

Two worlds: `captioned` scenes of one to three objects, and `classes`, scenes of one large object whose shape and material
are the class label. Splits are disjoint twice over: the keys differ, and the background's phase lies on a lattice whose low
two bits name the split, so that no scene of one split can be equal to a scene of another.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from sdaccel.errors import BadInput
from sdaccel.noise import Stream, words
from sdaccel.world.attributes import COLOURS, KINDS, MATERIALS, SHAPES, SIZES, SLOTS, TONES, Scenes

SPLITS = ("train", "val", "test")
INDEX_BITS = 48
WORDS = 48
"""Words reserved for the scene itself; the caption's phrasing draws from those after."""

RADIUS = (0.13, 0.18, 0.27)
JITTER = (0.05, 0.05, 0.10)
"""Radius by size, and its relative jitter: sizes stay at least 25 % apart."""
REACH = 1.1
"""No shape reaches further than this many radii from its centre."""
BODY = (1.0, 0.95, 0.75, 0.75, 1.0, 0.85)
"""By shape, the radius within which it surely covers what is behind it (a ring: up to its hole)."""
MARGIN = 0.025
GAP = 0.03
TILT = 0.2
"""Objects turn by up to this angle, in radians: far less than a square needs to look like a diamond."""


class Dice:
    """Consecutive words of each scene's stream; the order of the calls is part of the protocol."""

    def __init__(self, keys: Tensor, *, start: int, count: int) -> None:
        self.columns = iter(words(keys, Stream.CONDITION, start=start, count=count).unbind(1))

    def word(self) -> Tensor:
        """(B,) the next 32-bit word."""
        return next(self.columns)

    def pick(self, values: int) -> Tensor:
        """(B,) one of `values` integers, int64."""
        return (self.word() * values) >> 32

    def unit(self) -> Tensor:
        """(B,) float32 in [0, 1), exact on every device."""
        return (self.word() >> 8).float() * 2.0**-24

    def signed(self) -> Tensor:
        """(B,) float32 in [-1, 1)."""
        return 2 * self.unit() - 1


def keys(split: str, indices: Sequence[int] | Tensor, *, world: int, device: torch.device | str | None = None) -> Tensor:
    """(B,) the 64-bit Philox key of every scene: world, split and index side by side, hence no two alike."""
    if split not in SPLITS:
        raise BadInput(f"split={split} does not exist; choose one of {', '.join(SPLITS)}.")
    index = torch.as_tensor(indices, dtype=torch.int64, device=device)
    if index.numel() and (index.min() < 0 or index.max() >= 1 << INDEX_BITS):
        raise BadInput(f"scene indices run from 0 to 2^{INDEX_BITS} - 1; got {int(index.min())} to {int(index.max())}.")
    return index + (SPLITS.index(split) << INDEX_BITS) + (world << (INDEX_BITS + 2))


def captioned(
    split: str, indices: Sequence[int] | Tensor, *, objects: int = SLOTS, device: torch.device | str | None = None
) -> Scenes:
    """Scenes of one to `objects` objects; single objects come in all sizes, groups in small and medium."""
    if not 1 <= objects <= SLOTS:
        raise BadInput(f"objects={objects}: a scene holds 1 to {SLOTS} objects.")
    own = keys(split, indices, world=objects, device=device)
    dice = Dice(own, start=0, count=WORDS)
    count = 1 + dice.pick(objects)
    single, group = zip(*((dice.pick(3), dice.pick(2)) for _ in range(SLOTS)), strict=True)
    size = torch.where(count.unsqueeze(1) == 1, torch.stack(single, 1), torch.stack(group, 1))
    return _furnish(own, dice, count, size)


def classes(split: str, indices: Sequence[int] | Tensor, *, device: torch.device | str | None = None) -> Scenes:
    """Scenes of one large object and nothing else, so that shape and material, the class, cannot be misread."""
    own = keys(split, indices, world=0, device=device)
    dice = Dice(own, start=0, count=WORDS)
    return _furnish(own, dice, torch.ones_like(own), torch.full_like(own, SIZES.index("large")).unsqueeze(1).repeat(1, SLOTS))


def _furnish(own: Tensor, dice: Dice, count: Tensor, size: Tensor) -> Scenes:
    """Everything but count and size."""
    absent = torch.arange(SLOTS, device=own.device) >= count.unsqueeze(1)  # (B, 3)
    shape = torch.stack([dice.pick(len(SHAPES)) for _ in range(SLOTS)], 1)
    material = torch.stack([dice.pick(len(MATERIALS)) for _ in range(SLOTS)], 1)
    colour = _distinct_colours(dice)
    relation = dice.pick(3).masked_fill(count < 2, -1)
    horizontal = torch.where(relation == 2, dice.pick(2), 1 - relation) == 1  # does the pair lie along x?
    side = (2 * dice.pick(2) + horizontal).masked_fill(count < 3, -1)
    tone, kind = dice.pick(len(TONES)), dice.pick(len(KINDS))
    radius = torch.tensor(RADIUS, device=own.device)[size]
    radius = radius * (1 + torch.tensor(JITTER, device=own.device)[size] * torch.stack([dice.signed() for _ in range(3)], 1))
    centre = _layout(dice, shape, radius, count, relation, horizontal, side)
    angle = TILT * torch.stack([dice.signed() for _ in range(SLOTS)], 1)
    split = (own >> INDEX_BITS) & 3
    lattice = ((dice.word() >> 8) & ~3) | split
    phase = torch.stack([lattice.float() * 2.0**-24, dice.unit(), dice.unit()], 1)

    def seen(attribute: Tensor) -> Tensor:
        return attribute.masked_fill(absent, -1)

    return Scenes(
        own,
        count,
        seen(shape),
        seen(colour),
        seen(material),
        seen(size),
        relation,
        side,
        tone,
        kind,
        centre,
        radius,
        angle,
        phase,
    )


def _distinct_colours(dice: Dice) -> Tensor:
    """(B, 3) three different colours, each uniform: steps around the palette that never come back."""
    total = len(COLOURS)
    first = dice.pick(total)
    one, other = 1 + dice.pick(total - 1), 1 + dice.pick(total - 2)
    other = other + (other >= one)
    return torch.stack([first, (first + one) % total, (first + other) % total], 1)


def _layout(
    dice: Dice, shape: Tensor, radius: Tensor, count: Tensor, relation: Tensor, horizontal: Tensor, side: Tensor
) -> Tensor:
    """(B, 3, 2) centres: the pair along its axis, object 2 beside it on the other; alone, near the middle."""
    reach = REACH * radius
    pair_reach = reach[:, :2].amax(1)
    body = torch.tensor(BODY, device=radius.device)[shape] * radius
    free = 1 - 2 * MARGIN

    # Along the pair's axis: object 0 first, except that an overlap may go either way.
    overlap = relation == 2
    touching = torch.where(overlap, 0.72 * (body[:, 0] + body[:, 1]), reach[:, 0] + reach[:, 1] + GAP)
    slack = (free - 2 * pair_reach - touching).clamp(min=0)
    apart = touching + torch.where(overlap, 0.0, 0.5 * dice.unit()) * slack
    low = MARGIN + pair_reach + dice.unit() * (free - 2 * pair_reach - apart).clamp(min=0)
    ends = torch.stack([low, low + apart], 1)
    backwards = overlap & (dice.pick(2) == 1)
    along = torch.where(backwards.unsqueeze(1), ends.flip(1), ends)  # (B, 2)
    third_along = ends.mean(1) + 0.04 * dice.signed()

    # Across: the pair shares one line (an overlap is a little skewed), object 2 has the space on its side.
    wobble = 0.015 + 0.015 * overlap
    skew = torch.stack([dice.signed(), dice.signed()], 1) * wobble.unsqueeze(1)
    band, third = pair_reach + wobble, reach[:, 2]
    room = (free - 2 * (band + third) - GAP).clamp(min=0)
    before, between = 0.5 * dice.unit() * room, 0.5 * dice.unit() * room
    third_first = MARGIN + third + before
    pair_second = third_first + third + GAP + between + band
    third_is_first = side < 2  # left of or above
    pair_trio = torch.where(third_is_first, pair_second, 1 - pair_second)
    third_across = torch.where(third_is_first, third_first, 1 - third_first)
    pair_alone = 0.5 + 0.8 * dice.signed() * (0.5 - MARGIN - band)
    across = torch.where(count == 3, pair_trio, pair_alone).unsqueeze(1) + skew

    alone = torch.stack([dice.signed(), dice.signed()], 1)
    alone = 0.5 + alone * (0.5 - MARGIN - reach[:, :1]).clamp(max=0.2)

    u = torch.cat([along, third_along.unsqueeze(1)], 1)
    v = torch.cat([across, third_across.unsqueeze(1)], 1)
    centre = torch.where(horizontal[:, None, None], torch.stack([u, v], -1), torch.stack([v, u], -1))
    first = torch.where((count == 1).unsqueeze(1), alone, centre[:, 0])
    return torch.cat([first.unsqueeze(1), centre[:, 1:]], 1)
