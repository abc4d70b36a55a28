"""Scores of a set of pictures against a reference set, over the features of one network."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sdaccel.metrics.aggregate import Aggregate, Scores, of_interval
from sdaccel.metrics.extractors import FeatureExtractor, InceptionExtractor
from sdaccel.metrics.features import features_of
from sdaccel.metrics.frechet import fid
from sdaccel.metrics.frechet_interval import fid_difference, fid_interval
from sdaccel.metrics.inception_score import inception_score
from sdaccel.metrics.kernel import cmmd_interval, kid_difference, kid_interval
from sdaccel.metrics.manifold import precision_recall
from sdaccel.metrics.pictures import Pictures

FEWEST = 4
"""Samples without which no distance between sets means anything: an interval looks at halves."""


def _fid(x: Tensor, y: Tensor) -> dict[str, Aggregate]:
    return {"fid": of_interval(lambda: fid_interval(x, y), len(x)), "fid_plug_in": Aggregate(fid(x, y), len(x))}


def _kid(x: Tensor, y: Tensor) -> dict[str, Aggregate]:
    return {"kid": of_interval(lambda: kid_interval(x, y), len(x))}


def _cmmd(x: Tensor, y: Tensor) -> dict[str, Aggregate]:
    return {"cmmd": of_interval(lambda: cmmd_interval(x, y), len(x))}


def _manifold(x: Tensor, y: Tensor) -> dict[str, Aggregate]:
    precision, recall = precision_recall(y, x)
    return {"precision": Aggregate(precision, len(x)), "recall": Aggregate(recall, len(x))}


SCORES: dict[str, tuple[Callable[[Tensor, Tensor], dict[str, Aggregate]], tuple[str, ...]]] = {
    "fid": (_fid, ("fid", "fid_plug_in")),
    "kid": (_kid, ("kid",)),
    "cmmd": (_cmmd, ("cmmd",)),
    "manifold": (_manifold, ("precision", "recall")),
}
"""What can be asked for, and the names of what it gives."""
SPLITS = 10
"""Of the inception score."""
DIFFERENCES = {"fid": fid_difference, "kid": kid_difference}


class Distribution:
    """The scores `of` this network's features; features are kept on disk and found again."""

    def __init__(
        self,
        extractor: FeatureExtractor,
        reference: Iterable[np.ndarray],
        *,
        of: Sequence[str],
        key: str,
        cache: Path,
    ) -> None:
        self.of = of
        self.features = partial(features_of, extractor, cache=cache)
        self.reference = self.features(reference, key=key)
        self.last: tuple[str, Tensor] = ("", torch.empty(0))

    def __call__(self, pictures: Pictures, baseline: Pictures | None) -> Scores:
        x = self.features(pictures.read(), key=pictures.key)
        if min(len(x), len(self.reference)) < FEWEST:
            note = f"a distance between sets needs {FEWEST} or more samples in each"
            return Scores({name: Aggregate(None, len(x), note=note) for score in self.of for name in SCORES[score][1]})
        found: dict[str, Aggregate] = {}
        for score in self.of:
            found |= SCORES[score][0](x, self.reference)
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
            f"{score}_difference": of_interval(partial(DIFFERENCES[score], x, y, self.reference, paired=paired), len(x))
            for score in self.of
            if score in DIFFERENCES
        }


class InceptionScore:
    """Over the network's own classes, from the features that are on disk already."""

    def __init__(self, extractor: InceptionExtractor, *, cache: Path) -> None:
        self.extractor, self.cache = extractor, cache

    def __call__(self, pictures: Pictures, baseline: Pictures | None) -> Scores:
        classes = self.extractor.classes(features_of(self.extractor, pictures.read(), cache=self.cache, key=pictures.key))
        return Scores({"inception_score": shuffled_score(classes)})


def shuffled_score(classes: Tensor) -> Aggregate:
    """The inception score of (N, classes) probabilities, samples shuffled: labels often come in turn."""
    if len(classes) < SPLITS:
        return Aggregate(None, len(classes), note=f"the inception score needs {SPLITS} or more samples")
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(classes)))
    return Aggregate(inception_score(classes[order], splits=SPLITS)[0], len(classes))
