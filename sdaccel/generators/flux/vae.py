"""The autoencoder in front of the flow: diffusers' AutoencoderKL, and the shift and scale that make its latents unit normal.

images (B, 3, H, W) in [-1, 1] · latents (B, C, H/4, W/4) · tokens (B, L, 4 C) normalised and packed
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sdaccel.generators.flux.packing import pack, unpack_maps

WIDTHS = (32, 64, 64)
"""Every level after the first halves the picture."""
GROUPS = 8
"""Norm groups of the autoencoder that ships."""


class FluxVae(nn.Module):
    """`shift` and `scale` are FLUX's shift_factor and scaling_factor, one per channel and shipped with the weights."""

    def __init__(
        self,
        *,
        channels: int = 4,
        widths: Sequence[int] = WIDTHS,
        layers: int = 1,
        groups: int = GROUPS,
        attention: bool = False,
        shift: float = 0.0,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        import sdaccel.torchvision_guard  # noqa: F401, I001  (before diffusers)
        from diffusers import AutoencoderKL

        self.vae: Any = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * len(widths),
            up_block_types=("UpDecoderBlock2D",) * len(widths),
            block_out_channels=tuple(widths),
            layers_per_block=layers,
            latent_channels=channels,
            norm_num_groups=groups,
            use_quant_conv=False,
            use_post_quant_conv=False,
            mid_block_add_attention=attention,
        )
        self.factor = 2 ** (len(widths) - 1)
        self.shift = nn.Parameter(torch.full((channels,), shift), requires_grad=False)
        self.scale = nn.Parameter(torch.full((channels,), scale), requires_grad=False)

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the raw latents, at least float32."""
        mean, logvar = self.vae.encoder(images).float().chunk(2, 1)
        return mean, logvar.clamp(-20, 10)

    def reconstruct(self, latents: Tensor) -> Tensor:
        """Images of raw latents, not clamped: flat parts would teach nothing."""
        return self.vae.decoder(latents).float()

    def encode(self, images: Tensor) -> Tensor:
        """Tokens of images: the posterior's mean."""
        mean, _ = self.posterior(images)
        return pack((mean - self.shift.view(1, -1, 1, 1)) * self.scale.view(1, -1, 1, 1))

    def roundtrip(self, images: Tensor) -> Tensor:
        """Images in [-1, 1] to what comes back, in [0, 1]."""
        return self.decode(self.encode(images), height=images.shape[2], width=images.shape[3])

    def decode(self, tokens: Tensor, *, height: int, width: int) -> Tensor:
        """Images (B, 3, height, width) in [0, 1]."""
        maps = unpack_maps(tokens, height=height // self.factor, width=width // self.factor)
        raw = maps / self.scale.view(1, -1, 1, 1) + self.shift.view(1, -1, 1, 1)
        return (self.reconstruct(raw.to(self.vae.dtype)) / 2 + 0.5).clamp(0, 1)
