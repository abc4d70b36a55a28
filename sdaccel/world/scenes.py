"""Draw scenes: every attribute is a pure function of (split, index), made of Philox words, the same on CPU and GPU.

Two worlds: `captioned` scenes of one to three objects, and `classes`, scenes of one large object whose shape and material
are the class label. Both can be told what to show: `stated` scenes follow facts, `of_class` scenes a label.

Splits are disjoint twice over: the keys differ, and the background's phase lies on a lattice whose low two bits name the
split, so that no scene of one split can be equal to a scene of another.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from sdaccel.errors import BadInput
from sdaccel.noise import Stream, words
from sdaccel.world.attributes import (
    CLASSES,
    COLOURS,
    COLUMN,
    FIELDS,
    KINDS,
    MATERIALS,
    SHAPES,
    SIZES,
    SLOTS,
    TONES,
    Scenes,
)

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


def keys(split: str, indices: Sequence[int] | Tensor, *, world: int) -> Tensor:
    """(B,) the 64-bit Philox key of every scene: world, split and index side by side, hence no two alike."""
    if split not in SPLITS:
        raise BadInput(f"split={split} does not exist; choose one of {', '.join(SPLITS)}.")
    index = torch.as_tensor(indices, dtype=torch.int64)
    if torch.compiler.is_compiling():  # a graph cannot look at values
        pass
    elif index.numel() and (index.min() < 0 or index.max() >= 1 << INDEX_BITS):
        raise BadInput(f"scene indices run from 0 to 2^{INDEX_BITS} - 1; got {int(index.min())} to {int(index.max())}.")
    return index + (SPLITS.index(split) << INDEX_BITS) + (world << (INDEX_BITS + 2))


def captioned(split: str, indices: Sequence[int] | Tensor) -> Scenes:
    """Scenes of one to three objects; single objects come in all sizes, groups in small and medium."""
    own = keys(split, indices, world=SLOTS)
    return _populate(own, unstated(own))


def stated(facts: Tensor, own: Tensor) -> Scenes:
    """Captioned scenes of the given keys that show the facts (B, 17): what is -1 is drawn as always, given the rest.

    Without a stated count there are as many objects as are spoken of, and where none is, any number. So the facts of a
    captioned scene, or any part of them, with its own key give that very scene where nothing was left to draw.
    """
    if found := impossible(facts):
        raise BadInput(f"facts {facts[found[0]].tolist()}: this {found[1]}; state something else, or less.")
    return _populate(own, facts)


def _populate(own: Tensor, given: Tensor) -> Scenes:
    """Count and sizes, then the rest."""
    dice = Dice(own, start=0, count=WORDS)
    count = 1 + dice.pick(SLOTS)
    spoken = mentioned(given)
    count = _told(given, "count", torch.where(spoken > 0, spoken, count) - 1) + 1
    single, group = zip(*((dice.pick(3), dice.pick(2)) for _ in range(SLOTS)), strict=True)
    size = torch.where(count.unsqueeze(1) == 1, torch.stack(single, 1), torch.stack(group, 1))
    return _furnish(own, dice, count, size, given)


def classes(split: str, indices: Sequence[int] | Tensor) -> Scenes:
    """Scenes of one large object and nothing else, so that shape and material, the class, cannot be misread."""
    own = keys(split, indices, world=0)
    return _alone(own, unstated(own))


def of_class(labels: Tensor, own: Tensor) -> Scenes:
    """Class scenes of the given keys that show the classes (B,)."""
    if labels.numel() and (labels.min() < 0 or labels.max() >= len(CLASSES)):
        raise BadInput(f"label {int(labels.min())} to {int(labels.max())}: the world has classes 0 .. {len(CLASSES) - 1}.")
    given = unstated(own)
    given[:, COLUMN["shape0"]] = labels // len(MATERIALS)
    given[:, COLUMN["material0"]] = labels % len(MATERIALS)
    return _alone(own, given)


def _alone(own: Tensor, given: Tensor) -> Scenes:
    dice = Dice(own, start=0, count=WORDS)
    size = torch.full_like(own, SIZES.index("large")).unsqueeze(1).repeat(1, SLOTS)
    return _furnish(own, dice, torch.ones_like(own), size, given)


def unstated(own: Tensor) -> Tensor:
    """(B, 17) facts that leave everything open."""
    return torch.full((len(own), len(FIELDS)), -1, dtype=torch.int64, device=own.device)


def mentioned(facts: Tensor) -> Tensor:
    """(B,) how many objects there must be: up to the last one of which anything is said, relations included."""
    spoken = (facts[:, COLUMN["size0"] :] >= 0).unflatten(1, (SLOTS, -1)).any(2)  # (B, 3)
    spoken[:, 1] |= facts[:, COLUMN["relation"]] >= 0
    spoken[:, 2] |= facts[:, COLUMN["side"]] >= 0
    return (spoken * torch.arange(1, SLOTS + 1, device=facts.device)).amax(1)


def impossible(facts: Tensor) -> tuple[int, str] | None:
    """The first row that states what this world cannot show, and why; None where every row can be shown."""
    highest = torch.tensor(list(FIELDS.values()), device=facts.device)
    relation, side, count = (facts[:, COLUMN[name]] for name in ("relation", "side", "count"))
    size, colour = (facts[:, [COLUMN[f"{name}{slot}"] for slot in range(SLOTS)]] for name in ("size", "colour"))
    many = torch.maximum(mentioned(facts), count + 1)
    same = (colour.unsqueeze(1) == colour.unsqueeze(2)) & (colour.unsqueeze(1) >= 0)
    in_line = (side >= 0) & (((relation == 0) & (side % 2 == 0)) | ((relation == 1) & (side % 2 == 1)))
    for wrong, why in (
        (((facts >= highest) | (facts < -1)).any(1), "holds a value that no scene has"),
        ((count >= 0) & (mentioned(facts) > count + 1), "speaks of more objects than it counts"),
        ((size == SIZES.index("large")).any(1) & (many > 1), "puts a large object beside another, where none fits"),
        (same.sum((1, 2)) > (colour >= 0).sum(1), "gives two objects one colour, by which this world tells them apart"),
        (in_line, "puts the third object in line with the pair, where there is no room; it goes across"),
    ):
        if bool(wrong.any()):
            return int(wrong.nonzero()[0]), why
    return None


def _told(given: Tensor, name: str, drawn: Tensor) -> Tensor:
    """What is stated of one field, else what was drawn."""
    column = given[:, COLUMN[name]]
    return torch.where(column >= 0, column, drawn)


def _told_each(given: Tensor, name: str, drawn: Tensor) -> Tensor:
    """The same for a field that every object has, (B, 3)."""
    return torch.stack([_told(given, f"{name}{slot}", drawn[:, slot]) for slot in range(SLOTS)], 1)


def _furnish(own: Tensor, dice: Dice, count: Tensor, size: Tensor, given: Tensor) -> Scenes:
    """Everything but the count, and sizes where they are stated."""
    absent = torch.arange(SLOTS, device=own.device) >= count.unsqueeze(1)  # (B, 3)
    size = _told_each(given, "size", size)
    shape = _told_each(given, "shape", torch.stack([dice.pick(len(SHAPES)) for _ in range(SLOTS)], 1))
    material = _told_each(given, "material", torch.stack([dice.pick(len(MATERIALS)) for _ in range(SLOTS)], 1))
    colour = _recoloured(_distinct_colours(dice), given)
    wanted = given[:, COLUMN["side"]]
    relation = dice.pick(3)
    relation = torch.where((wanted >= 0) & (relation < 2), 1 - wanted % 2, relation)  # a pair lies across what stands aside
    relation = _told(given, "relation", relation).masked_fill(count < 2, -1)
    horizontal = torch.where(relation == 2, dice.pick(2), 1 - relation) == 1  # does the pair lie along x?
    horizontal = torch.where(wanted >= 0, wanted % 2 == 1, horizontal)
    side = _told(given, "side", 2 * dice.pick(2) + horizontal).masked_fill(count < 3, -1)
    tone, kind = _told(given, "tone", dice.pick(len(TONES))), _told(given, "kind", dice.pick(len(KINDS)))
    radius = torch.tensor(RADIUS, device=own.device)[size]
    radius = radius * (1 + torch.tensor(JITTER, device=own.device)[size] * torch.stack([dice.signed() for _ in range(3)], 1))
    centre = _layout(dice, shape, radius, count, relation, horizontal, side)
    angle = TILT * torch.stack([dice.signed() for _ in range(SLOTS)], 1)
    split = (own >> INDEX_BITS) & 3
    lattice = ((dice.word() >> 8) & ~3) | split
    phase = torch.stack([lattice.float() * 2.0**-24, dice.unit(), dice.unit()], 1)
    shape, colour, material, size = (each.masked_fill(absent, -1) for each in (shape, colour, material, size))
    return Scenes(own, count, shape, colour, material, size, relation, side, tone, kind, centre, radius, angle, phase)


def _distinct_colours(dice: Dice) -> Tensor:
    """(B, 3) three different colours, each uniform: steps around the palette that never come back."""
    total = len(COLOURS)
    first = dice.pick(total)
    one, other = 1 + dice.pick(total - 1), 1 + dice.pick(total - 2)
    other = other + (other >= one)
    return torch.stack([first, (first + one) % total, (first + other) % total], 1)


def _recoloured(colour: Tensor, given: Tensor) -> Tensor:
    """Swap colours of the palette until every object has its stated one: three different colours stay different."""
    for slot in range(SLOTS):
        drawn = colour[:, slot : slot + 1]
        wanted = _told(given, f"colour{slot}", drawn[:, 0]).unsqueeze(1)
        colour = torch.where(colour == drawn, wanted, torch.where(colour == wanted, drawn, colour))
    return colour


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
