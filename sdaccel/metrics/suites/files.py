"""The same metrics on published networks and reference images of one's own, all from local files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sdaccel.errors import BadInput
from sdaccel.metrics import backbones, distribution
from sdaccel.metrics.backbones import CLIP, INCEPTION, LPIPS, check_clip, clip_folder
from sdaccel.metrics.distribution import CMMD, FID, KID, MANIFOLD, Distribution, InceptionScore, OfSets
from sdaccel.metrics.extractors import FeatureExtractor
from sdaccel.metrics.inception_score import INCEPTION as CLASSES
from sdaccel.metrics.pairs import PERCEPTUAL, PSNR, SSIM, Paired
from sdaccel.metrics.reference import check_reference, identity_of, pictures_of
from sdaccel.metrics.suite import Scorer
from sdaccel.metrics.texts import SCORE, Texts
from sdaccel.registry import configurable
from sdaccel.shipped import sha256

OF_INCEPTION = (FID, KID, MANIFOLD)
NEEDS = {
    "FID, KID, precision and recall": ("inception", "reference"),
    "the inception score": ("inception",),
    "CMMD": ("clip", "reference"),
    "the CLIP score": ("clip", "prompts"),
    "LPIPS": ("lpips",),
}
HOW = {
    "reference": "metrics.reference=FOLDER of real pictures",
    "prompts": "--prompts FILE",
    **{source.option.removeprefix("metrics."): f"{source.option}=PATH of {source.file}" for source in (INCEPTION, CLIP, LPIPS)},
}
"""What metrics need, and how it is given."""


@configurable(group="metrics", name="files")
@dataclass(frozen=True)
class Files:
    """What is not given is not measured; PSNR and SSIM need nothing."""

    inception: str | None = None
    """inception-2015-12-05.pt or its folder: FID, KID, precision, recall and the inception score."""
    clip: str | None = None
    """An open_clip folder: CMMD, and the CLIP score of prompts, which needs no reference."""
    lpips: str | None = None
    """alexnet-owt-7be5be79.pth or its folder: LPIPS, as `perceptual`."""
    reference: str | None = None
    """Folder of reference images or .npz of ADM's, which FID, KID, CMMD, precision and recall need."""

    def check(self, conditions: Sequence[int | str]) -> None:
        if not (self.inception or self.clip or self.lpips):
            choices = "; ".join(
                f"{source.option}=PATH ({source.file} from {source.url})" for source in (INCEPTION, CLIP, LPIPS)
            )
            raise BadInput(f"metrics=files needs a network: {choices}.")
        if self.reference is None and (self.inception or (self.clip and not isinstance(conditions[0], str))):
            raise BadInput("metrics.reference is missing; give a folder of reference images, or ADM's .npz of them.")
        self.check_given()

    def check_given(self) -> None:
        if self.reference is not None:
            check_reference(Path(self.reference))
        if self.inception:
            backbones.inception(Path(self.inception))
        if self.clip:
            check_clip(Path(self.clip))
        if self.lpips:
            backbones.lpips_alex(Path(self.lpips))

    def identity(self) -> dict[str, Any]:
        files = [source.require(Path(path)) for source, path in ((INCEPTION, self.inception), (LPIPS, self.lpips)) if path]
        if self.clip:
            files += sorted(path for path in clip_folder(Path(self.clip)).iterdir() if path.is_file())
        return {
            "sha256": {path.name: sha256(path) for path in files},
            "reference": identity_of(Path(self.reference)) if self.reference else None,
        }

    def lacking(self, conditions: Sequence[int | str]) -> dict[str, str]:
        given = {"prompts": isinstance(conditions[0], str)} | {name: bool(value) for name, value in vars(self).items()}
        needed = {what: [HOW[name] for name in names if not given[name]] for what, names in NEEDS.items()}
        return {what: " and ".join(how) for what, how in needed.items() if how}

    def names(self, conditions: Sequence[int | str]) -> tuple[str, ...]:
        sets = [
            *(OF_INCEPTION if self.inception and self.reference else ()),
            *((CMMD,) if self.clip and self.reference else ()),
        ]
        classes = (CLASSES,) if self.inception else ()
        texts = (SCORE,) if self.clip and isinstance(conditions[0], str) else ()
        return (*distribution.names_of(sets), *classes, *texts, PSNR, SSIM, *((PERCEPTUAL,) if self.lpips else ()))

    def scorers(self, conditions: Sequence[int | str], *, size: int, device: torch.device, cache: Path) -> Sequence[Scorer]:
        out: list[Scorer] = []
        if self.inception:
            network = backbones.inception(Path(self.inception)).to(device)
            out += [self._sets(network, OF_INCEPTION, conditions, cache)] if self.reference else []
            out.append(InceptionScore(network, cache=cache))
        if self.clip:
            extractor, tokenizer = backbones.clip(Path(self.clip))
            extractor.to(device)
            if self.reference:
                out.append(self._sets(extractor, (CMMD,), conditions, cache))
            if isinstance(conditions[0], str):
                out.append(Texts(extractor, tokenizer, [str(prompt) for prompt in conditions], cache=cache))
        if self.lpips:
            return [*out, Paired(backbones.lpips_alex(Path(self.lpips)).to(device), device)]
        return [*out, Paired(None, device)]

    def _sets(
        self, network: FeatureExtractor, of: Sequence[OfSets], conditions: Sequence[int | str], cache: Path
    ) -> Distribution:
        assert self.reference is not None
        pictures = pictures_of(Path(self.reference))
        return Distribution(network, pictures, conditions=conditions, of=of, key="reference", cache=cache)
