"""Does a picture fit its prompt, by a CLIP model: the CLIP score, and its own caption among near misses."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sdaccel.metrics.aggregate import Aggregate, Scores, of_samples
from sdaccel.metrics.clip_score import Tokenizer, clip_score, text_features
from sdaccel.metrics.extractors import ClipExtractor
from sdaccel.metrics.features import features_of
from sdaccel.metrics.metric import Metric, metric
from sdaccel.metrics.pictures import BATCH, Pictures, batched

CANDIDATES = 64
SCORE = metric(Metric(name="clip_score", label="CLIP score", direction="higher", each=True, place=90, screen=True, panel=20))
TOP1 = metric(
    Metric(
        name="clip_top1",
        label=f"CLIP top-1 of {CANDIDATES}",
        direction="higher",
        fewest=CANDIDATES,
        each=True,
        share=True,
        place=100,
        screen=True,
    )
)
NEAR = CANDIDATES // 2 - 1
RETRIEVED = 4096
"""Samples whose caption is looked for among others: the features of their near misses are held in memory."""
NearMisses = Callable[..., list[str]]
"""(caption, count) -> up to so many captions that differ from it in one attribute."""


class Texts:
    """`near_misses` adds the retrieval of a picture's own caption among 64, up to half of them one attribute away."""

    def __init__(
        self,
        extractor: ClipExtractor,
        tokenizer: Tokenizer,
        prompts: Sequence[str],
        *,
        cache: Path,
        near_misses: NearMisses | None = None,
    ) -> None:
        self.extractor, self.tokenizer, self.near_misses = extractor, tokenizer, near_misses
        self.features = partial(features_of, extractor, cache=cache)
        self.distinct = list(dict.fromkeys(prompts))
        row = {prompt: i for i, prompt in enumerate(self.distinct)}
        self.rows = [row[prompt] for prompt in prompts]
        self.said = self._read(self.distinct)
        self.near: dict[int, Tensor] = {}

    def __call__(self, pictures: Pictures, baseline: Pictures | None) -> Scores:
        seen = self.features(pictures.read(), key=pictures.key)
        scores = of_samples({SCORE: clip_score(seen, self.said[list(pictures.of(self.rows))]).numpy()})
        if self.near_misses is None:
            return scores
        if len(self.distinct) < CANDIDATES:
            note = f"top-1 of {CANDIDATES} needs as many different prompts, not {len(self.distinct)}"
            return scores.merged(Scores({TOP1: Aggregate(None, len(seen), note=note)}))
        few = [*zip(seen, pictures.of(self.rows), strict=True)][:RETRIEVED]
        self._read_near(row for _, row in few)
        right = [self._finds(picture, row) for picture, row in few]
        return scores.merged(of_samples({TOP1: np.array(right, dtype=float)}))

    def _finds(self, picture: Tensor, row: int) -> bool:
        """Does the picture's own caption beat its near misses and enough other prompts?"""
        near = self.near[row]
        others = (row + 1 + torch.arange(CANDIDATES - 1 - len(near))) % len(self.distinct)
        return bool(beats_all(picture, self.said[row], torch.cat([near, self.said[others]])))

    def _read_near(self, rows: Iterable[int]) -> None:
        """Text features of these prompts' near misses, once for all arms."""
        assert self.near_misses is not None
        missing = [row for row in dict.fromkeys(rows) if row not in self.near]
        found = [self.near_misses(self.distinct[row], count=NEAR) for row in missing]
        if missing:
            read = self._read([caption for some in found for caption in some])
            self.near |= zip(missing, read.split([len(some) for some in found]), strict=True)

    def _read(self, captions: Sequence[str]) -> Tensor:
        """(N, D)"""
        return torch.cat([text_features(self.extractor.model, self.tokenizer, some).cpu() for some in batched(captions, BATCH)])


def beats_all(picture: Tensor, own: Tensor, rivals: Tensor) -> Tensor:
    """Is (..., D) closer to its own caption than to every rival (..., M, D)? By the angle; a draw is lost."""
    mine = torch.cosine_similarity(picture, own, dim=-1).unsqueeze(-1)
    return (mine > torch.cosine_similarity(picture.unsqueeze(-2), rivals, dim=-1)).all(-1)
