"""Real pictures through VAR's tokens and back: what a transformer on this tokenizer can reach at best."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from sdaccel.conditions import Condition
from sdaccel.generators.base import Cost
from sdaccel.generators.nextscale.layout import Layout, check_patch_nums
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE, check_sizes
from sdaccel.generators.nextscale.weights import check_manifest, load_vae, vae_file
from sdaccel.generators.var import cost
from sdaccel.generators.var.model import PATCH_NUMS
from sdaccel.generators.world.generator import World, WorldRuntime
from sdaccel.registry import configurable
from sdaccel.shipped import resolve, sha256


@configurable(group="generator", name="var_reconstruction")
@dataclass(frozen=True, kw_only=True)
class Reconstruction(World):
    """Sample i is the picture i of the world, encoded, quantised at every scale and decoded."""

    vae_weights: str = "shipped:vqvae_mini"
    """VQVAE file, .pth or .safetensors, or shipped:NAME."""
    vocab: int = 432
    Cvae: int = 8
    """Channels of a code."""
    ch: int = 32
    """Base channels, a multiple of 32."""
    ch_mult: list[int] = field(default_factory=lambda: [1, 1, 2])
    """Widths of the levels as multiples of ch; every level after the first halves the image."""
    patch_nums: list[int] = field(default_factory=lambda: list(PATCH_NUMS[256]))
    """Sides of the scales."""

    def check(self, conditions: Sequence[Condition]) -> None:
        super().check(conditions)
        check_sizes(self)
        check_patch_nums(self.patch_nums, image_size=self.image_size, factor=2 ** (len(self.ch_mult) - 1))
        check_manifest(vae_file(resolve(self.vae_weights)), self._meta())

    def identity(self) -> dict[str, Any]:
        return super().identity() | {"sha256": sha256(resolve(self.vae_weights))}

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
        return Layout(tuple(self.patch_nums))

    def _meta(self) -> VQVAE:
        with torch.device("meta"):
            return VQVAE(ch=self.ch, vocab=self.vocab, Cvae=self.Cvae, scales=len(self.patch_nums), mult=self.ch_mult)

    def shown(self, pictures: Tensor, vae: Any) -> Tensor:
        return (vae.roundtrip(pictures * 2 - 1, self.layout) + 1) / 2

    def build(self, device: torch.device) -> WorldRuntime:
        file = vae_file(resolve(self.vae_weights))
        return WorldRuntime(self, load_vae(file, self._meta(), device=device, dtype=torch.float32))
