"""The torchmetrics faces give the pure functions' values, in any batches, and start anew after reset."""

import pytest
import torch

import sdaccel.torchvision_guard  # noqa: F401
from sdaccel.metrics.clip_score import clip_scores
from sdaccel.metrics.extractors import ClipExtractor
from sdaccel.metrics.frechet import fid
from sdaccel.metrics.kernel import kid
from sdaccel.metrics.torchmetrics_faces import ClipScore, FrechetDistance, KernelDistance
from tests.metrics.tiny import TinyExtractor, images, tiny_clip, tokenize


def test_frechet_and_kernel_distance_in_batches_are_those_of_the_whole() -> None:
    extractor = TinyExtractor()
    real, generated = images(60, seed=0), images(50, seed=1, high=220)
    for face, pure in ((FrechetDistance(extractor), fid), (KernelDistance(extractor), kid)):
        for _ in range(2):
            for batch in real.split(17):
                face.update(batch, real=True)
            for batch in generated.split(13):
                face.update(batch, real=False)
            assert float(face.compute()) == pytest.approx(pure(extractor(generated), extractor(real)), rel=1e-6)
            face.reset()


def test_clip_score_is_the_mean_over_pairs_of_all_batches() -> None:
    extractor = ClipExtractor(tiny_clip(), name="tiny", mean=(0.5,) * 3, std=(0.3,) * 3)
    pictures, captions = images(5), ["a", "b c", "d", "ef", "g"]
    face = ClipScore(extractor, tokenize)
    face.update(pictures[:3], captions[:3])
    face.update(pictures[3:], captions[3:])
    assert float(face.compute()) == pytest.approx(float(clip_scores(extractor, tokenize, pictures, captions).mean()), rel=1e-4)


def test_one_image_has_no_frechet_distance() -> None:
    face = FrechetDistance(TinyExtractor())
    face.update(images(1), real=True)
    face.update(images(5), real=False)
    with pytest.raises(ValueError, match="two or more"), torch.no_grad():
        face._moments(1)
