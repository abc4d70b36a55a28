"""Metrics of the small world: clip_mini and judge_mini against fresh pictures of its validation split."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch

from sdaccel.errors import BadInput, at_least
from sdaccel.metrics import distribution
from sdaccel.metrics.backbones import check_clip, clip_extractor, clip_folder
from sdaccel.metrics.crops import OF_CROPS, Cropped, crop_features, over_crops
from sdaccel.metrics.distribution import CMMD, FID, KID, MANIFOLD, Distribution
from sdaccel.metrics.judge import Judge
from sdaccel.metrics.judged import Judged, facts_of, names_of
from sdaccel.metrics.pairs import PERCEPTUAL, PERCEPTUAL_CROPS, PSNR, SSIM, Paired
from sdaccel.metrics.perceptual import ClipMaps, perceptual_distance
from sdaccel.metrics.pictures import of_world
from sdaccel.metrics.suite import Scorer
from sdaccel.metrics.texts import SCORE, TOP1, Texts
from sdaccel.registry import configurable
from sdaccel.shipped import PREFIX, locate, resolve, restore, sha256
from sdaccel.world.attributes import CLASSES
from sdaccel.world.captions import encode
from sdaccel.world.reading import near_misses

OF_SETS = (FID, KID, CMMD, MANIFOLD)
CROPPED = (FID, KID, CMMD)


@configurable(group="metrics", name="world")
@dataclass(frozen=True)
class World:
    """FID, KID, CMMD, precision, recall, perceptual distance and CLIP score by clip_mini; accuracies by judge_mini."""

    clip: str = "shipped:clip_mini"
    """A folder that open_clip reads as `local-dir:`, or `shipped:NAME`."""
    reference: int | None = None
    """Pictures of the val split, of the kind that the conditions are; None takes as many as there are samples."""
    crops: bool = False
    """FID, KID, CMMD and the perceptual distance also of crops of 64 px: of larger pictures, scaled down to that, the networks
    see nothing of the finest detail."""

    of_world: ClassVar[bool] = True

    def check(self, conditions: Sequence[int | str]) -> None:
        at_least(2, self, "reference", where="metrics")
        for label in conditions:
            if not isinstance(label, str) and not 0 <= label < len(CLASSES):
                raise BadInput(f"metrics=world knows labels 0 .. {len(CLASSES) - 1}, not {label}; use other metrics or labels.")
        facts_of(conditions)
        if self.clip.startswith(PREFIX):
            resolve(self.clip)  # its hashes are looked at
        else:
            check_clip(Path(self.clip))
        locate("judge_mini")

    def identity(self) -> dict[str, Any]:
        files = [*sorted(clip_folder(resolve(self.clip)).iterdir()), locate("judge_mini")]
        known = {"reference": self.reference, "sha256": {path.name: sha256(path) for path in files if path.is_file()}}
        return known | ({"crops": True} if self.crops else {})  # it came later: without it records keep their hashes

    def names(self, conditions: Sequence[int | str]) -> tuple[str, ...]:
        texts = (SCORE, TOP1) if isinstance(conditions[0], str) else ()
        crops = (*OF_CROPS.values(), PERCEPTUAL_CROPS) if self.crops else ()
        return (*distribution.names_of(OF_SETS), *names_of(conditions), *texts, PSNR, SSIM, PERCEPTUAL, *crops)

    def scorers(self, conditions: Sequence[int | str], *, size: int, device: torch.device, cache: Path) -> Sequence[Scorer]:
        extractor = clip_extractor(resolve(self.clip)).to(device)
        kind = "captioned" if isinstance(conditions[0], str) else "classes"
        real = partial(of_world, kind, "val", self.reference or len(conditions), size=size)
        sets = partial(Distribution, extractor, conditions=conditions, key=f"world-{kind}-val-{size}px", cache=cache)
        maps = ClipMaps(extractor)
        seen = partial(perceptual_distance, maps)
        scorers: list[Scorer] = [sets(real(), of=OF_SETS), Judged(restore("judge_mini", Judge()), conditions, device)]
        if kind == "captioned":
            prompts = [str(prompt) for prompt in conditions]
            scorers.append(Texts(extractor, encode, prompts, cache=cache, near_misses=near_misses))
        if self.crops:
            scorers.append(Cropped(sets(real(), of=CROPPED, read=crop_features)))
        return [*scorers, Paired(seen, device, crops=over_crops(seen) if self.crops else None)]
