"""Feature extractors: uint8 NCHW in, (N, D) float32 out, one object for every metric, for torchmetrics and for clean-fid."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sdaccel.samples import array_digest
from sdaccel.threads import mapped


class FeatureExtractor(nn.Module):
    """A network behind clean-fid's resize: PIL bicubic per channel in float, clipped to [0, 255], not rounded."""

    name: str
    input_size: int
    num_features: int
    fingerprint: str
    """Changes whenever the features would: weights and preprocessing."""

    def features(self, pixels: Tensor) -> Tensor:
        """(N, D) of float32 (N, 3, input_size, input_size) in [0, 255]."""
        raise NotImplementedError

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"extractors take uint8 (N, 3, H, W), not {images.dtype} {tuple(images.shape)}")
        return self.features(clean_resize(images, self.input_size)).float()


def clean_resize(images: Tensor, size: int) -> Tensor:
    """uint8 (N, 3, H, W) to float32 (N, 3, size, size) by clean-fid's own resizer; identity at that size."""
    if images.shape[2:] == (size, size):
        return images.float()
    from cleanfid.resize import make_resizer

    resize = make_resizer("PIL", False, "bicubic", (size, size))
    rows = list(mapped(resize, images.permute(0, 2, 3, 1).cpu().numpy()))
    return torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2).to(images.device)


def module_fingerprint(module: nn.Module, *preprocessing: Any) -> str:
    """Hash of every weight and buffer by name, and of what stands before the network."""
    total = hashlib.sha256(repr(preprocessing).encode())
    for name, value in module.state_dict().items():
        plain = value.detach().cpu().contiguous()
        total.update(f"{name}{plain.dtype}".encode() + array_digest(plain.reshape(-1).view(torch.uint8).numpy()).encode())
    return total.hexdigest()


class ClipExtractor(FeatureExtractor):
    """Image features of an open_clip model, not normalised. Images are resized to the square, not cropped."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: Any, *, name: str, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.model = model.eval()
        size = model.visual.image_size
        self.name, self.input_size = name, size[0] if isinstance(size, tuple) else size
        self.register_buffer("mean", 255 * torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(std).view(3, 1, 1), persistent=False)
        self.num_features = int(model.visual.output_dim)
        self.fingerprint = module_fingerprint(model, self.input_size, list(mean), list(std))

    def features(self, pixels: Tensor) -> Tensor:
        return self.model.encode_image((pixels - self.mean) / self.std)


class InceptionExtractor(FeatureExtractor):
    """Pool features of the FID Inception network, by clean-fid's module, which takes [0, 255] at 299 px."""

    name, input_size, num_features = "inception", 299, 2048

    def __init__(self, network: Any, *, fingerprint: str) -> None:
        super().__init__()
        self.network = network.eval()
        self.fingerprint = fingerprint

    def features(self, pixels: Tensor) -> Tensor:
        return self.network(pixels)

    @torch.no_grad()
    def classes(self, features: Tensor) -> Tensor:
        """Class probabilities (N, 1008) for the inception score: as published, without the bias of the last layer."""
        return (features @ self.network.base.output.weight.mT.to(features.device)).softmax(1)
