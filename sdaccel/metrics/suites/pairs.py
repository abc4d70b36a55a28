"""Distances of each picture to the one of the same noise, and nothing of sets, which would need many more samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sdaccel.metrics.backbones import check_clip, clip_extractor, clip_folder
from sdaccel.metrics.pairs import PERCEPTUAL, PSNR, SSIM, Paired
from sdaccel.metrics.perceptual import ClipMaps, perceptual_distance
from sdaccel.metrics.suite import Scorer
from sdaccel.registry import configurable
from sdaccel.shipped import PREFIX, resolve, sha256


@configurable(group="metrics", name="pairs")
@dataclass(frozen=True)
class Pairs:
    """PSNR, SSIM and the perceptual distance by a CLIP."""

    clip: str = "shipped:clip_mini"
    """A folder that open_clip reads as `local-dir:`, or `shipped:NAME`."""

    def check(self, conditions: Sequence[int | str]) -> None:
        if self.clip.startswith(PREFIX):
            resolve(self.clip)  # its hashes are looked at
        else:
            check_clip(Path(self.clip))

    def identity(self) -> dict[str, Any]:
        return {
            "sha256": {path.name: sha256(path) for path in sorted(clip_folder(resolve(self.clip)).iterdir()) if path.is_file()}
        }

    def names(self, conditions: Sequence[int | str]) -> tuple[str, ...]:
        return PSNR, SSIM, PERCEPTUAL

    def scorers(self, conditions: Sequence[int | str], *, size: int, device: torch.device, cache: Path) -> Sequence[Scorer]:
        maps = ClipMaps(clip_extractor(resolve(self.clip)).to(device))
        return [Paired(lambda a, b: perceptual_distance(maps, a, b), device)]
