"""CLIP score of a small random open_clip model, against the computation by hand."""

from typing import Any

import pytest
import torch
from torch import Tensor

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


class Tower:
    """An open_clip model and its tokenizer as torchmetrics wants a model and a processor of transformers."""

    config = None

    def __init__(self) -> None:
        self.model = tiny_clip()

    def to(self, device: torch.device) -> "Tower":
        return self

    def __call__(self, *, text: Any = None, images: Any = None, **_: Any) -> dict[str, Tensor]:
        if images is not None:
            mean, std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
            return {"pixel_values": (torch.stack(images) / 255 - mean) / std}
        return {"input_ids": tokenize(text), "attention_mask": torch.ones(1, 1)}

    @torch.no_grad()
    def get_image_features(self, pixels: Tensor) -> Tensor:
        return self.model.encode_image(pixels)

    @torch.no_grad()
    def get_text_features(self, tokens: Tensor, mask: Tensor) -> Tensor:
        return self.model.encode_text(tokens)


def test_equals_torchmetrics_before_its_mean() -> None:
    """Why this one is ours: theirs cuts the mean at 0 where the paper cuts each score, and 1.9 fails on transformers 5."""
    from torchmetrics.functional.multimodal.clip_score import _clip_score_update

    tower, pictures, captions = Tower(), images(5), ["a cat", "two red cubes", "a dog", "xyz", "one"]
    tower.model.text_projection.data.mul_(-1)
    theirs, _ = _clip_score_update(list(pictures), captions, tower, tower)  # type: ignore[arg-type]
    extractor = ClipExtractor(tower.model, name="tiny", mean=MEAN, std=STD)
    ours = clip_score(extractor(pictures), text_features(extractor.model, tokenize, captions))
    assert ours.tolist() == pytest.approx(theirs.clamp_min(0).tolist(), abs=2e-5)


def test_every_image_has_its_own_caption() -> None:
    with pytest.raises(ValueError, match="pair up"):
        clip_score(torch.zeros(3, 8), torch.zeros(2, 8))
