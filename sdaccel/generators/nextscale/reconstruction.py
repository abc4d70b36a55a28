"""Real pictures through the tokenizer of a next-scale model and back."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from sdaccel.conditions import Condition
from sdaccel.generators.base import Cost
from sdaccel.generators.nextscale.cost import decode_macs
from sdaccel.generators.nextscale.layout import Layout, check_patch_nums
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE, check_sizes
from sdaccel.generators.world.generator import World


@dataclass(frozen=True, kw_only=True)
class ThroughTokens(World):
    """Sizes of the tokenizer, its check and its price; which file and what is shown belongs to a model."""

    vocab: int = 432
    Cvae: int = 8
    """Channels of a code."""
    ch: int = 32
    """Base channels, a multiple of 32."""
    ch_mult: list[int] = field(default_factory=lambda: [1, 1, 2])
    """Widths of the levels as multiples of ch; every level after the first halves the image."""
    patch_nums: list[int] = field(default_factory=list)
    """Sides of the scales."""

    def check(self, conditions: Sequence[Condition]) -> None:
        super().check(conditions)
        check_sizes(self)
        check_patch_nums(self.patch_nums, image_size=self.image_size, factor=2 ** (len(self.ch_mult) - 1))

    def cost(self) -> Cost:
        vae = self.without_storage()
        return Cost(
            macs=[],
            decode_macs=decode_macs(vae, self.layout),
            weight_bytes=4 * sum(p.numel() for p in vae.parameters()),
            state_bytes=16 * self.ch * self.image_size**2,
            image_bytes=3 * self.image_size**2,
        )

    @property
    def layout(self) -> Layout:
        return Layout(tuple(self.patch_nums))

    def without_storage(self) -> VQVAE:
        """On the meta device."""
        with torch.device("meta"):
            return VQVAE(ch=self.ch, vocab=self.vocab, Cvae=self.Cvae, scales=len(self.patch_nums), mult=self.ch_mult)
