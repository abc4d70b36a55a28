"""What a scene is made of: the names of every attribute, and scenes as tensors.

Slots are canonical, so that a picture has one set of attributes: object 0 stands left of, above or in front of object 1;
object 2, when there, is on one side of that pair. Objects of one scene differ in colour.
"""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

SHAPES = ("circle", "square", "triangle", "star", "ring", "cross")
COLOURS = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
MATERIALS = ("flat", "shaded", "striped", "dotted")
SIZES = ("small", "medium", "large")
RELATIONS = ("left of", "above", "in front of", "right of", "below", "behind")
"""Entry r + 3 is the inverse of entry r: scenes hold the first three, sentences may say all six."""
SIDES = ("left of", "above", "right of", "below")
"""Where object 2 stands from the pair."""
TONES = ("cream", "grey", "navy", "sage")
KINDS = ("plain", "checkered", "striped", "wavy")
SLOTS = 3

CLASSES = tuple(f"{material} {shape}" for shape in SHAPES for material in MATERIALS)
"""24 class labels: shape and material of the one large object of a class scene; its colour is free."""

FIELDS: dict[str, int] = {
    "count": SLOTS,
    "relation": len(RELATIONS) // 2,
    "side": len(SIDES),
    "tone": len(TONES),
    "kind": len(KINDS),
} | {
    f"{name}{slot}": size
    for slot in range(SLOTS)
    for name, size in (
        ("size", len(SIZES)),
        ("colour", len(COLOURS)),
        ("material", len(MATERIALS)),
        ("shape", len(SHAPES)),
    )
}
"""Columns of `Scenes.facts` and how many values each has in a scene."""
COLUMN = {name: column for column, name in enumerate(FIELDS)}


@dataclass(frozen=True)
class Scenes:
    """B scenes, batch first. Attributes are int64 and -1 where the scene has no such thing; lengths are in picture widths."""

    keys: Tensor
    """(B,) what the scene is a function of: split, world and index."""
    count: Tensor
    """(B,) 1, 2 or 3 objects."""
    shape: Tensor
    """(B, 3)"""
    colour: Tensor
    """(B, 3)"""
    material: Tensor
    """(B, 3)"""
    size: Tensor
    """(B, 3)"""
    relation: Tensor
    """(B,) of object 0 to object 1."""
    side: Tensor
    """(B,) of object 2 to the pair."""
    tone: Tensor
    """(B,) colour of the background."""
    kind: Tensor
    """(B,) pattern of the background."""
    centre: Tensor
    """(B, 3, 2) x and y, y downwards."""
    radius: Tensor
    """(B, 3)"""
    angle: Tensor
    """(B, 3) in radians."""
    phase: Tensor
    """(B, 3) where the background's pattern starts along x and y, and its tilt, all in [0, 1)."""

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, rows: slice | Tensor) -> "Scenes":
        return Scenes(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @property
    def facts(self) -> Tensor:
        """(B, 17) int64, one column per entry of FIELDS (count from 0): the targets of a classifier, -1 = not to be scored."""
        each = torch.stack([self.size, self.colour, self.material, self.shape], -1).flatten(1)
        return torch.cat([torch.stack([self.count - 1, self.relation, self.side, self.tone, self.kind], 1), each], 1)

    @property
    def labels(self) -> Tensor:
        """(B,) index into CLASSES, read from object 0: meant for class scenes."""
        return self.shape[:, 0] * len(MATERIALS) + self.material[:, 0]
