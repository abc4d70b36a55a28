"""diffusers' FluxTransformer2DModel at any size."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What fixes the names and shapes of the weights."""

    channels: int
    """Numbers of one packed token."""
    doubles: int
    singles: int
    heads: int
    head_dim: int
    axes: Sequence[int]
    """Channels of a head that rotate with text order, row and column."""
    text_width: int
    pooled_width: int
    guidance_embeds: bool


def transformer(shape: Shape) -> nn.Module:
    """The model with diffusers' initial weights, on the current default device."""
    import sdaccel.torchvision_guard  # noqa: F401, I001  (before diffusers)
    from diffusers import FluxTransformer2DModel

    model: Any = FluxTransformer2DModel(
        patch_size=1,
        in_channels=shape.channels,
        num_layers=shape.doubles,
        num_single_layers=shape.singles,
        attention_head_dim=shape.head_dim,
        num_attention_heads=shape.heads,
        joint_attention_dim=shape.text_width,
        pooled_projection_dim=shape.pooled_width,
        guidance_embeds=shape.guidance_embeds,
        axes_dims_rope=tuple(shape.axes),
    )
    return model
