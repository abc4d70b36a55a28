"""The same distances as torchmetrics, for loops and several processes: states, and the pure functions of this package."""

from collections.abc import Sequence

import sdaccel.torchvision_guard  # noqa: F401  (torchmetrics imports torchvision)

# isort: split
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from sdaccel.metrics.clip_score import Tokenizer, clip_scores
from sdaccel.metrics.extractors import ClipExtractor, FeatureExtractor
from sdaccel.metrics.frechet import Moments, frechet_distance
from sdaccel.metrics.kernel import kid


class FrechetDistance(Metric):
    """FID from running sums: memory does not grow with the number of images."""

    higher_is_better, is_differentiable, full_state_update = False, False, False
    count: Tensor
    total: Tensor
    outer: Tensor

    def __init__(self, extractor: FeatureExtractor) -> None:
        super().__init__()
        self.extractor, d = extractor, extractor.num_features
        self.add_state("count", torch.zeros(2, dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("total", torch.zeros(2, d, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("outer", torch.zeros(2, d, d, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, images: Tensor, *, real: bool) -> None:
        x, side = self.extractor(images).double(), int(real)
        self.count[side] += len(x)
        self.total[side] += x.sum(0)
        self.outer[side] += x.mT @ x

    def compute(self) -> Tensor:
        generated, real = (self._moments(side) for side in (0, 1))
        return torch.tensor(frechet_distance(generated, real), dtype=torch.float64)

    def _moments(self, side: int) -> Moments:
        n = int(self.count[side])
        if n < 2:
            raise ValueError(f"a covariance needs two or more samples, not {n}")
        mean = self.total[side] / n
        return Moments(n, mean, (self.outer[side] - n * torch.outer(mean, mean)) / (n - 1))


class KernelDistance(Metric):
    """KID over all images; keeps their features."""

    higher_is_better, is_differentiable, full_state_update = False, False, False
    real: list[Tensor]
    generated: list[Tensor]

    def __init__(self, extractor: FeatureExtractor) -> None:
        super().__init__()
        self.extractor = extractor
        self.add_state("real", [], dist_reduce_fx="cat")
        self.add_state("generated", [], dist_reduce_fx="cat")

    def update(self, images: Tensor, *, real: bool) -> None:
        (self.real if real else self.generated).append(self.extractor(images))

    def compute(self) -> Tensor:
        return torch.tensor(kid(dim_zero_cat(self.generated), dim_zero_cat(self.real)), dtype=torch.float64)


class ClipScore(Metric):
    """Mean CLIP score of images and their captions."""

    higher_is_better, is_differentiable, full_state_update = True, False, False
    total: Tensor
    count: Tensor

    def __init__(self, extractor: ClipExtractor, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.extractor, self.tokenizer = extractor, tokenizer
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, images: Tensor, captions: Sequence[str]) -> None:
        scores = clip_scores(self.extractor, self.tokenizer, images, captions)
        self.total += scores.sum()
        self.count += len(scores)

    def compute(self) -> Tensor:
        return self.total / self.count
