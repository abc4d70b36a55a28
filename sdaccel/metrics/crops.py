"""Pictures in crops of 64 px at full size: a network that sees 64 px sees a larger picture without its finest detail.

A distance between sets takes all crops of every picture, and a picture for one sample (`distances`). One crop of each would be
simpler, its rows being independent, but lose too much: crops of a picture have so little in common that intervals of 512
pictures of 256 px were four to five times as long, and could not always tell pictures blurred by 4 from real ones.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from torch import Tensor

from sdaccel.metrics import frechet, frechet_interval, kernel
from sdaccel.metrics.aggregate import Scores
from sdaccel.metrics.distribution import Distribution
from sdaccel.metrics.extractors import FeatureExtractor
from sdaccel.metrics.features import features_of
from sdaccel.metrics.metric import METRICS, metric
from sdaccel.metrics.pairs import Distance
from sdaccel.metrics.pictures import Pictures

SIDE = 64
OF_CROPS = {
    name: metric(replace(METRICS[name], name=crops, label=label, place=place, panel=panel, screen=False))
    for name, crops, label, place, panel in (
        (frechet.FID, "fid_crops", "FID of crops", 32, 35),
        (frechet_interval.DIFFERENCE, "fid_crops_difference", "FID of crops − baseline's", None, None),
        (kernel.KID, "kid_crops", "KID of crops", 42, None),
        (kernel.DIFFERENCE, "kid_crops_difference", "KID of crops − baseline's", None, None),
        (kernel.CMMD, "cmmd_crops", "CMMD of crops", 52, None),
    )
}
"""Distance between sets of whole pictures -> the same between crops."""


def corners(height: int, width: int) -> list[tuple[int, int]]:
    """Of as few crops as cover a picture; one that is smaller is its own crop."""
    return [(top, left) for top in _starts(height) for left in _starts(width)]


def _starts(size: int) -> list[int]:
    """Evenly apart."""
    last = math.ceil(size / SIDE) - 1
    return [round(i * (size - SIDE) / last) for i in range(last + 1)] if last else [0]


def crop_features(extractor: FeatureExtractor, images: Iterable[np.ndarray], *, cache: Path | None, key: str) -> Tensor:
    """(N, crops, D) of equally large pictures, where the network is: a kernel of so many rows wants a GPU if there is one."""
    crops: list[int] = []
    """Of every picture."""

    def each() -> Iterator[np.ndarray]:
        for image in images:
            places = corners(*image.shape[:2])
            crops.append(len(places))
            yield from (image[top : top + SIDE, left : left + SIDE] for top, left in places)

    rows = features_of(extractor, each(), cache=cache, key=key)
    device = next((p.device for p in extractor.parameters()), rows.device)
    return rows.view(len(crops), crops[0], -1).to(device)


def over_crops(distance: Distance) -> Distance:
    """Of two pictures, the mean over all of their crops."""

    def mean(a: Tensor, b: Tensor) -> Tensor:
        places = corners(*a.shape[2:])
        return sum(distance(_cut(a, *at), _cut(b, *at)) for at in places) / len(places)  # type: ignore[return-value]

    return mean


def _cut(images: Tensor, top: int, left: int) -> Tensor:
    return images[:, :, top : top + SIDE, left : left + SIDE]


class Cropped:
    """What `sets`, which read features of crops, say, under the names of theirs."""

    of_sets: ClassVar[bool] = True

    def __init__(self, sets: Distribution) -> None:
        self.sets, self.features = sets, sets.features

    def __call__(self, pictures: Pictures, baseline: Pictures | None) -> Scores:
        found = self.sets(pictures, baseline).aggregates
        return Scores({OF_CROPS[name]: each for name, each in found.items() if name in OF_CROPS})
