"""The world as a generator: a real picture of what was asked for, drawn and not sampled from any network.

It is what the other arms are trying to be: quality figures of a model are read beside those of real pictures.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sdaccel import world
from sdaccel.conditions import Batch, Condition
from sdaccel.errors import BadInput, at_least
from sdaccel.generators.base import Cost, Generation
from sdaccel.registry import configurable, later
from sdaccel.world.attributes import CLASSES, SLOTS, Scenes
from sdaccel.world.reading import parse
from sdaccel.world.render import render
from sdaccel.world.scenes import INDEX_BITS, impossible

TAKES = {"classes": "label", "captioned": "prompt"}
ASKED_FOR = SLOTS + 1
"""World number of the keys: no picture made here was ever drawn for training, nor by an index."""


@configurable(group="generator", name="world")
@dataclass(frozen=True)
class World:
    """Real pictures. Picture i is a function of (condition, sample seed)."""

    kind: str = "classes"
    """`classes`, one large object per label, or `captioned`, what a prompt in the world's grammar says."""
    image_size: int = 64
    split: str = "test"
    """Where the rest of the picture is drawn from: train, val or test."""
    blur: int = later(1)
    """Squares of so many pixels a side are averaged and the picture is enlarged again: what a model without the finest detail
    would make at best, which metrics of detail have to tell from real pictures. 1: none."""

    dtype: ClassVar[str] = "float32"
    seam: ClassVar[None] = None
    """Nothing to accelerate."""
    keeps: ClassVar[Sequence[str]] = ()
    steps: ClassVar[int] = 0
    of_world: ClassVar[bool] = True

    @property
    def takes(self) -> str:
        if self.kind not in TAKES:
            raise BadInput(f"generator.kind={self.kind} does not exist; choose {' or '.join(TAKES)}.")
        return TAKES[self.kind]

    @property
    def height(self) -> int:
        return self.image_size

    @property
    def width(self) -> int:
        return self.image_size

    def check(self, conditions: Sequence[Condition]) -> None:
        at_least(1, self, "image_size", "blur", where="generator")
        if self.image_size % self.blur:
            divisors = ", ".join(str(n) for n in range(1, self.image_size + 1) if self.image_size % n == 0)
            raise BadInput(f"generator.blur={self.blur} does not divide {self.image_size} pixels; choose one of {divisors}.")
        world.keys(self.split, [0], world=ASKED_FOR)
        if self.takes == "label":
            for label in conditions:
                if not isinstance(label, int) or not 0 <= label < len(CLASSES):
                    raise BadInput(f"label {label!r} is no class of the small world; give integers 0 .. {len(CLASSES) - 1}.")
        elif found := impossible(_facts(conditions)):
            raise BadInput(f"caption '{conditions[found[0]]}' {found[1]}; ask for something else, or less.")

    def identity(self) -> dict[str, Any]:
        return {}

    def cost(self) -> Cost:
        return Cost(macs=[], decode_macs=0, weight_bytes=0, state_bytes=0, image_bytes=3 * self.image_size**2)

    def scenes(self, conditions: Sequence[Condition], seeds: Tensor) -> Scenes:
        """What stands in each picture."""
        keys = world.keys(self.split, seeds.cpu() & ((1 << INDEX_BITS) - 1), world=ASKED_FOR)
        if self.takes == "label":
            return world.of_class(torch.tensor(conditions, dtype=torch.int64), keys)
        return world.stated(_facts(conditions), keys)

    def shown(self, pictures: Tensor, vae: Any) -> Tensor:
        """What becomes of the pictures: of those drawn, or of what an autoencoder lets through."""
        return pictures

    def build(self, device: torch.device) -> "WorldRuntime":
        return WorldRuntime(self)


def blurred(pictures: Tensor, factor: int) -> Tensor:
    """(B, 3, H, W) averaged over squares of factor x factor pixels and enlarged again."""
    if factor == 1:
        return pictures
    small = F.avg_pool2d(pictures, factor)
    return F.interpolate(small, scale_factor=factor, mode="bicubic").clamp(0, 1)


def _facts(captions: Sequence[Condition]) -> Tensor:
    return torch.stack([parse(str(caption)) for caption in captions])


class WorldRuntime(nn.Module):
    """Draws on the CPU, so that a picture has the same bits wherever the models beside it run."""

    def __init__(self, config: World, vae: nn.Module | None = None) -> None:
        super().__init__()
        self.config, self.vae = config, vae

    @torch.inference_mode()
    def generate(self, batch: Batch, *, backend: Any, strategy: Any, keep: Collection[str] = ()) -> Generation:
        drawn = render(self.config.scenes(batch.conditions, batch.seeds), resolution=self.config.image_size)
        pictures = blurred(drawn, self.config.blur)
        place = next((p.device for p in self.parameters()), None)
        return Generation(self.config.shown(pictures.to(device=place), self.vae))
