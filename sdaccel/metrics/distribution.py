"""Scores of a set of pictures against a reference set, over the features of one network."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from sdaccel.metrics import frechet, frechet_interval, kernel
from sdaccel.metrics.aggregate import Aggregate, Scores, of_interval
from sdaccel.metrics.distances import strata_of
from sdaccel.metrics.extractors import FeatureExtractor, InceptionExtractor
from sdaccel.metrics.features import features_of
from sdaccel.metrics.frechet import fid
from sdaccel.metrics.frechet_interval import fid_difference, fid_interval
from sdaccel.metrics.inception_score import INCEPTION, SPLITS, inception_score
from sdaccel.metrics.intervals import Interval
from sdaccel.metrics.kernel import cmmd_interval, kid_difference, kid_interval
from sdaccel.metrics.manifold import PRECISION, RECALL, precision_recall
from sdaccel.metrics.metric import OF_SETS
from sdaccel.metrics.pictures import Pictures

Score = Callable[[Tensor, Tensor, Tensor | None], dict[str, Aggregate]]
"""(features of an arm, of the reference, strata of the arm)"""
Read = Callable[..., Tensor]
"""(extractor, images, *, cache, key) -> (N, D), or (N, rows, D) where a picture has several"""


def _fid(x: Tensor, y: Tensor, strata: Tensor | None) -> dict[str, Aggregate]:
    return {
        frechet.FID: of_interval(lambda: fid_interval(x, y, strata=strata), len(x)),
        frechet.PLUG_IN: Aggregate(fid(x.flatten(0, -2), y.flatten(0, -2)), len(x)),
    }


def _kid(x: Tensor, y: Tensor, strata: Tensor | None) -> dict[str, Aggregate]:
    return {kernel.KID: of_interval(lambda: kid_interval(x, y, strata=strata), len(x))}


def _cmmd(x: Tensor, y: Tensor, strata: Tensor | None) -> dict[str, Aggregate]:
    return {kernel.CMMD: of_interval(lambda: cmmd_interval(x, y, strata=strata), len(x))}


def _manifold(x: Tensor, y: Tensor, strata: Tensor | None) -> dict[str, Aggregate]:
    precision, recall = precision_recall(y, x)
    return {PRECISION: Aggregate(precision, len(x)), RECALL: Aggregate(recall, len(x))}


@dataclass(frozen=True)
class OfSets:
    """Distances between two sets of features."""

    score: Score
    gives: tuple[str, ...]
    """Names of the metrics."""
    difference: Callable[..., Interval] | None = None
    """Of an arm's first one and its baseline's."""
    named: str = ""


FID = OfSets(_fid, (frechet.FID, frechet.PLUG_IN), fid_difference, frechet_interval.DIFFERENCE)
KID = OfSets(_kid, (kernel.KID,), kid_difference, kernel.DIFFERENCE)
CMMD = OfSets(_cmmd, (kernel.CMMD,))
MANIFOLD = OfSets(_manifold, (PRECISION, RECALL))


def names_of(scores: Sequence[OfSets]) -> tuple[str, ...]:
    """The metrics that these give, those beside a baseline last."""
    return (*(name for score in scores for name in score.gives), *(score.named for score in scores if score.difference))


class Distribution:
    """The scores `of` this network's features; features are kept on disk and found again.

    Pictures of conditions that come several times are samples of strata; those of the reference were drawn.
    """

    of_sets: ClassVar[bool] = True

    def __init__(
        self,
        extractor: FeatureExtractor,
        reference: Iterable[np.ndarray],
        *,
        conditions: Sequence[int | str],
        of: Sequence[OfSets],
        key: str,
        cache: Path,
        read: Read = features_of,
    ) -> None:
        self.of, self.strata = of, strata_of(conditions)
        self.features = partial(read, extractor, cache=cache)
        self._reference = partial(self.features, reference, key=key)
        self.last: tuple[str, Tensor] = ("", torch.empty(0))

    @cached_property
    def reference(self) -> Tensor:
        return self._reference()

    def __call__(self, pictures: Pictures, baseline: Pictures | None) -> Scores:
        x = self.features(pictures.read(), key=pictures.key)
        if min(len(x), len(self.reference)) < OF_SETS:
            note = f"a distance between sets needs {OF_SETS} or more samples in each"
            return Scores({name: Aggregate(None, len(x), note=note) for score in self.of for name in score.gives})
        found: dict[str, Aggregate] = {}
        for score in self.of:
            found |= score.score(x, self.reference, self.strata)
        if baseline is not None:
            found |= self._differences(x, self._of_baseline(baseline), paired=pictures.paired)
        return Scores(found)

    def _of_baseline(self, baseline: Pictures) -> Tensor:
        """Kept for the next arm: most have the same."""
        if self.last[0] != baseline.key:
            self.last = baseline.key, self.features(baseline.read(), key=baseline.key)
        return self.last[1]

    def _differences(self, x: Tensor, y: Tensor, *, paired: bool) -> dict[str, Aggregate]:
        return {
            score.named: of_interval(partial(score.difference, x, y, self.reference, paired=paired, strata=self.strata), len(x))
            for score in self.of
            if score.difference
        }


class InceptionScore:
    """Over the network's own classes, from the features that are on disk already."""

    of_sets: ClassVar[bool] = True

    def __init__(self, extractor: InceptionExtractor, *, cache: Path) -> None:
        self.extractor, self.features = extractor, partial(features_of, extractor, cache=cache)

    def __call__(self, pictures: Pictures, baseline: Pictures | None) -> Scores:
        classes = self.extractor.classes(self.features(pictures.read(), key=pictures.key))
        return Scores({INCEPTION: shuffled_score(classes)})


def shuffled_score(classes: Tensor) -> Aggregate:
    """The inception score of (N, classes) probabilities, samples shuffled: labels often come in turn."""
    if len(classes) < SPLITS:
        return Aggregate(None, len(classes), note=f"the inception score needs {SPLITS} or more samples")
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(classes)))
    return Aggregate(inception_score(classes[order])[0], len(classes))
