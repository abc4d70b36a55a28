"""Real pictures through HART's tokenizer and back, with what the codes leave out or without: the best that HART can reach."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from sdaccel.conditions import Condition
from sdaccel.generators.base import Cost
from sdaccel.generators.hart import cost, weights
from sdaccel.generators.hart.model import PATCH_NUMS, hybrid_layout
from sdaccel.generators.nextscale.layout import Layout, check_patch_nums
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE, check_sizes
from sdaccel.generators.published import Source, fingerprint
from sdaccel.generators.world.generator import World, WorldRuntime
from sdaccel.registry import configurable


@configurable(group="generator", name="hart_reconstruction")
@dataclass(frozen=True, kw_only=True)
class HartReconstruction(World):
    """Sample i is the picture i of the world, encoded and decoded: as it is, or quantised at every scale."""

    kind: str = "captioned"
    image_size: int = 256
    residual: bool = True
    """The features themselves, as a perfect residual head would complete the codes; False: the codes alone."""
    vae_weights: str = "shipped:hart_tokenizer"
    """Tokenizer: folder with tokenizer/, file, repository in the hub's cache, or shipped:NAME."""
    vocab: int = 32
    Cvae: int = 8
    """Channels of a code."""
    ch: int = 32
    """Base channels, a multiple of 32."""
    ch_mult: list[int] = field(default_factory=lambda: [1, 1, 2])
    """Widths of the levels as multiples of ch; every level after the first halves the image."""
    patch_nums: list[int] = field(default_factory=lambda: list(PATCH_NUMS))
    """Sides of the scales."""

    def check(self, conditions: Sequence[Condition]) -> None:
        super().check(conditions)
        check_sizes(self)
        check_patch_nums(self.patch_nums, image_size=self.image_size, factor=2 ** (len(self.ch_mult) - 1))
        weights.check_tokenizer(self._source(), self._meta())

    def identity(self) -> dict[str, Any]:
        return super().identity() | {"sha256": fingerprint(weights.vae_path(self._source()))}

    def cost(self) -> Cost:
        vae = self._meta()
        return Cost(
            macs=[],
            decode_macs=cost.decode_macs(vae, self.layout),
            weight_bytes=4 * sum(p.numel() for p in vae.parameters()),
            state_bytes=16 * self.ch * self.image_size**2,
            image_bytes=3 * self.image_size**2,
        )

    @property
    def layout(self) -> Layout:
        return hybrid_layout(tuple(self.patch_nums))

    def _source(self) -> Source:
        return weights.source("generator.vae_weights", self.vae_weights)

    def _meta(self) -> VQVAE:
        with torch.device("meta"):
            return VQVAE(ch=self.ch, vocab=self.vocab, Cvae=self.Cvae, scales=len(self.patch_nums), mult=self.ch_mult)

    def shown(self, pictures: Tensor, vae: Any) -> Tensor:
        f = vae.encode(pictures * 2 - 1)
        return (vae.decode(f if self.residual else vae.tokenize(f, self.layout)[1].f_hat) + 1) / 2

    def build(self, device: torch.device) -> WorldRuntime:
        return WorldRuntime(self, weights.load_tokenizer(self._source(), self._meta(), device=device, dtype=torch.float32))
