"""Perceptual distance over the feature maps of a network (Zhang et al. 2018), in the paper's form without weights.

    d(a, b) = sum_l mean_hw sum_c (a_lchw / |a_lhw| - b_lchw / |b_lhw|)^2

Twice the mean cosine distance of every layer. LPIPS itself, with its weights of channels, is torchmetrics' (`backbones`), which
knows three networks and no CLIP.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sdaccel.metrics.extractors import ClipExtractor, clean_resize

EPSILON = 1e-10


def feature_distance(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """(B,) from lists of (B, C, H, W) maps."""
    layers = [(_unit(f) - _unit(g)).square().sum(1).mean((1, 2)) for f, g in zip(a, b, strict=True)]
    return torch.stack(layers).sum(0)


def _unit(maps: Tensor) -> Tensor:
    return maps / (maps.square().sum(1, keepdim=True).sqrt() + EPSILON)


class ClipMaps(nn.Module):
    """The feature maps of every layer of a CLIP model's image tower."""

    def __init__(self, extractor: ClipExtractor) -> None:
        super().__init__()
        self.extractor = extractor

    def forward(self, images: Tensor) -> list[Tensor]:
        """uint8 (B, 3, H, W)."""
        own = self.extractor
        pixels = (clean_resize(images, own.input_size) - own.mean) / own.std
        found = own.model.visual.forward_intermediates(pixels, intermediates_only=True, output_fmt="NCHW")
        return found["image_intermediates"]


@torch.no_grad()
def perceptual_distance(backbone: nn.Module, a: Tensor, b: Tensor) -> Tensor:
    """(B,) for uint8 (B, 3, H, W) images; the backbone takes them and returns its list of maps."""
    return feature_distance(backbone(a), backbone(b))
