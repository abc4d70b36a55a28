"""CLIP score of a small random open_clip model, against the computation by hand."""

import pytest
import torch

import sdaccel.torchvision_guard  # noqa: F401
from sdaccel.metrics.clip_score import clip_score, text_features
from sdaccel.metrics.extractors import ClipExtractor
from tests.metrics.tiny import images, tiny_clip, tokenize

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


@pytest.mark.parametrize(("sign", "distinct"), [(1, 1), (-1, 5)], ids=["all below zero", "all above"])
def test_equals_normalisation_encoding_and_cosine_by_hand(sign: int, distinct: int) -> None:
    model = tiny_clip()
    model.text_projection.data.mul_(sign)
    pictures, captions = images(5), ["a cat", "two red cubes", "a dog", "xyz", "one"]
    extractor = ClipExtractor(model, name="tiny", mean=MEAN, std=STD)
    ours = clip_score(extractor(pictures), text_features(extractor.model, tokenize, captions))
    pixels = pictures.double() / 255
    for c in range(3):
        pixels[:, c] = (pixels[:, c] - MEAN[c]) / STD[c]
    with torch.no_grad():
        a = model.encode_image(pixels.float(), normalize=True)
        b = model.encode_text(tokenize(captions), normalize=True)
    expected = [100 * max(float(x @ y), 0) for x, y in zip(a, b, strict=True)]
    assert ours.tolist() == pytest.approx(expected, abs=1e-3)
    assert len(set(ours.tolist())) == distinct


def test_opposite_directions_score_zero_and_equal_ones_a_hundred() -> None:
    x = torch.randn(4, 8)
    assert clip_score(x, -x).tolist() == [0] * 4
    assert clip_score(x, 3 * x).tolist() == pytest.approx([100] * 4)


def test_every_image_has_its_own_caption() -> None:
    with pytest.raises(ValueError, match="pair up"):
        clip_score(torch.zeros(3, 8), torch.zeros(2, 8))
