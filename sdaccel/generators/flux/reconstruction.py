"""Real pictures through FLUX's autoencoder and back: what a flow over these latents can reach at best."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sdaccel.conditions import Condition
from sdaccel.errors import BadInput
from sdaccel.generators.base import Cost
from sdaccel.generators.flux import weights
from sdaccel.generators.flux.checks import check_widths
from sdaccel.generators.flux.vae import FluxVae
from sdaccel.generators.world.generator import World, WorldRuntime
from sdaccel.measure.macs import forward_macs
from sdaccel.registry import configurable
from sdaccel.shipped import resolve, sha256


@configurable(group="generator", name="flux_reconstruction")
@dataclass(frozen=True, kw_only=True)
class FluxReconstruction(World):
    """Sample i is the picture i of the world, encoded to latents and decoded."""

    vae_weights: str = "shipped:flux_vae"
    """Autoencoder with its shift and scale, .safetensors or shipped:NAME."""
    vae_widths: list[int] = field(default_factory=lambda: [32, 64, 64])
    """Widths of the levels, each after the first halves the picture."""
    latent_channels: int = 4

    def check(self, conditions: Sequence[Condition]) -> None:
        super().check(conditions)
        check_widths(self.vae_widths)
        cell = 2 * 2 ** (len(self.vae_widths) - 1)
        if self.image_size % cell:
            raise BadInput(f"generator.image_size={self.image_size} must be a multiple of {cell}, a token's side.")
        weights.check_trained(weights.VAE, self.vae_weights, self.autoencoder)

    def identity(self) -> dict[str, Any]:
        return super().identity() | {"sha256": sha256(resolve(self.vae_weights))}

    def autoencoder(self) -> FluxVae:
        """The autoencoder, on the current default device."""
        return FluxVae(channels=self.latent_channels, widths=self.vae_widths)

    def cost(self) -> Cost:
        with torch.device("meta"):
            vae, picture = self.autoencoder(), torch.empty(1, 3, self.image_size, self.image_size)
            macs = forward_macs(lambda: vae.roundtrip(picture))
        return Cost(
            macs=[],
            decode_macs=macs,
            weight_bytes=4 * sum(p.numel() for p in vae.parameters()),
            state_bytes=16 * self.vae_widths[0] * self.image_size**2,
            image_bytes=3 * self.image_size**2,
        )

    def shown(self, pictures: Tensor, vae: Any) -> Tensor:
        return vae.roundtrip(pictures * 2 - 1)

    def build(self, device: torch.device) -> WorldRuntime:
        load = partial(weights.load_trained, device=device, dtype=torch.float32)
        return WorldRuntime(self, load(weights.VAE, self.vae_weights, self.autoencoder))
