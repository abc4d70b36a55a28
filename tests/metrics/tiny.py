"""Small real objects for the metric tests: feature sets, an extractor, an open_clip model."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import sdaccel.torchvision_guard  # noqa: F401
from sdaccel.metrics.extractors import FeatureExtractor, module_fingerprint
from sdaccel.metrics.intervals import Interval


class TinyExtractor(FeatureExtractor):
    """A random convolution and pooling; runs counts the images it was given."""

    name, input_size, num_features = "tiny", 16, 12

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.net = nn.Sequential(nn.Conv2d(3, 12, 5, stride=3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fingerprint = module_fingerprint(self.net, self.input_size)
        self.runs = 0

    def features(self, pixels: Tensor) -> Tensor:
        self.runs += len(pixels)
        return self.net(pixels / 255)


def images(n: int, *, side: int = 16, seed: int = 0, low: int = 0, high: int = 256) -> Tensor:
    """uint8 (n, 3, side, side)."""
    return torch.from_numpy(np.random.default_rng(seed).integers(low, high, (n, 3, side, side), dtype=np.uint8))


def gaussian_set(n: int, d: int, *, seed: int, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    """Correlated features of uneven variance, float64 (n, d)."""
    mix = torch.randn(d, d, generator=torch.Generator().manual_seed(99), dtype=torch.float64) / math.sqrt(d)
    noise = torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return scale * noise @ (mix + 0.3 * torch.eye(d, dtype=torch.float64)) + shift


def holds(interval: Interval, value: float) -> bool:
    return interval.low <= value <= interval.high


def tiny_clip() -> Any:
    """A random open_clip model with a vocabulary of 64 and images of 16 px."""
    import open_clip

    torch.manual_seed(0)
    return open_clip.CLIP(32, VISION, TEXT).eval()


VISION = {"image_size": 16, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8}
TEXT = {"context_length": 12, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1}


def tokenize(captions: list[str]) -> Tensor:
    """Letters as tokens, the largest number last: open_clip reads the text at the largest token."""
    rows = [[1 + (ord(c) % 60) for c in caption][:10] for caption in captions]
    return torch.tensor([[62, *row, 63] + [0] * (10 - len(row)) for row in rows])


def world_clip(folder: Path) -> Path:
    """An open_clip folder of clip_mini's architecture with random weights."""
    from sdaccel.shipped import ship
    from sdaccel.zoo.contrastive import ContrastiveTask, network

    return ship("clip_mini", network(), open_clip=ContrastiveTask.open_clip, folder=folder)


def usual_clip(folder: Path) -> Path:
    """A small random model with the vocabulary of published ones, in a folder that open_clip reads as `local-dir:`."""
    import open_clip
    from safetensors.torch import save_model

    text = TEXT | {"vocab_size": 49408}
    config: dict[str, Any] = {"model_cfg": {"embed_dim": 32, "vision_cfg": VISION, "text_cfg": text}}
    config["preprocess_cfg"] = {"mean": [0.5] * 3, "std": [0.5] * 3}
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    save_model(open_clip.CLIP(32, VISION, text), str(folder / "open_clip_model.safetensors"))
    return folder
