"""Real pictures through VAR's tokens and back: what a transformer on this tokenizer can reach at best."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from sdaccel.conditions import Condition
from sdaccel.generators.nextscale.reconstruction import ThroughTokens
from sdaccel.generators.nextscale.weights import check_manifest, load_vae, vae_file
from sdaccel.generators.var.model import PATCH_NUMS
from sdaccel.generators.world.generator import WorldRuntime
from sdaccel.registry import configurable
from sdaccel.shipped import resolve, sha256


@configurable(group="generator", name="var_reconstruction")
@dataclass(frozen=True, kw_only=True)
class Reconstruction(ThroughTokens):
    """Sample i is the picture i of the world, encoded, quantised at every scale and decoded."""

    vae_weights: str = "shipped:vqvae_mini"
    """VQVAE file, .pth or .safetensors, or shipped:NAME."""
    patch_nums: list[int] = field(default_factory=lambda: list(PATCH_NUMS[256]))
    """Sides of the scales."""

    def check(self, conditions: Sequence[Condition]) -> None:
        super().check(conditions)
        check_manifest(vae_file(resolve(self.vae_weights)), self.without_storage())

    def identity(self) -> dict[str, Any]:
        return super().identity() | {"sha256": sha256(resolve(self.vae_weights))}

    def shown(self, pictures: Tensor, vae: Any) -> Tensor:
        return (vae.roundtrip(pictures * 2 - 1, self.layout) + 1) / 2

    def build(self, device: torch.device) -> WorldRuntime:
        file = vae_file(resolve(self.vae_weights))
        return WorldRuntime(self, load_vae(file, self.without_storage(), device=device, dtype=torch.float32))
