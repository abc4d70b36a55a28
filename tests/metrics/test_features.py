"""Laws of the features cache: nothing is computed twice, and nothing stale is found."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sdaccel.errors import BadInput
from sdaccel.metrics.features import features_of
from tests.metrics.tiny import TinyExtractor, images


@pytest.fixture
def pictures() -> list[np.ndarray]:
    return list(images(7).permute(0, 2, 3, 1).numpy())


def test_features_are_the_extractors_in_the_order_of_the_images(pictures: list[np.ndarray]) -> None:
    extractor = TinyExtractor()
    found = features_of(extractor, pictures, cache=None, key="x", batch_size=3)
    assert torch.allclose(found, extractor(images(7)), atol=1e-6)


def test_a_second_run_computes_nothing_and_a_longer_one_only_what_is_new(tmp_path: Path, pictures: list[np.ndarray]) -> None:
    extractor = TinyExtractor()
    first = features_of(extractor, pictures[:5], cache=tmp_path, key="arm", batch_size=2)
    assert extractor.runs == 5
    assert torch.equal(features_of(extractor, pictures[:5], cache=tmp_path, key="arm"), first)
    assert extractor.runs == 5
    longer = features_of(extractor, iter(pictures), cache=tmp_path, key="arm")
    assert extractor.runs == 7
    assert torch.equal(longer[:5], first)


def test_order_and_repeats_come_from_the_images_not_from_the_cache(tmp_path: Path, pictures: list[np.ndarray]) -> None:
    extractor = TinyExtractor()
    forward = features_of(extractor, pictures, cache=tmp_path, key="arm")
    shuffled = features_of(extractor, [pictures[i] for i in (6, 0, 0, 3)], cache=tmp_path, key="arm")
    assert torch.equal(shuffled, forward[[6, 0, 0, 3]])
    assert extractor.runs == 7


def test_a_changed_image_and_a_changed_network_are_computed_anew(tmp_path: Path, pictures: list[np.ndarray]) -> None:
    extractor, other = TinyExtractor(), TinyExtractor(seed=1)
    before = features_of(extractor, pictures, cache=tmp_path, key="arm")
    changed = [pictures[0].copy(), *pictures[1:]]
    changed[0][0, 0, 0] ^= 1
    assert not torch.equal(features_of(extractor, changed, cache=tmp_path, key="arm")[0], before[0])
    assert extractor.runs == 8
    assert not torch.equal(features_of(other, pictures, cache=tmp_path, key="arm"), before)
    assert other.runs == 7


def test_images_of_several_sizes_share_a_set(pictures: list[np.ndarray]) -> None:
    wide = list(images(2, side=24).permute(0, 2, 3, 1).numpy())
    mixed = features_of(TinyExtractor(), [pictures[0], wide[0], wide[1], pictures[1]], cache=None, key="x")
    assert torch.allclose(mixed[[0, 3]], features_of(TinyExtractor(), pictures[:2], cache=None, key="x"), atol=1e-6)


def test_a_damaged_cache_says_so(tmp_path: Path, pictures: list[np.ndarray]) -> None:
    features_of(TinyExtractor(), pictures, cache=tmp_path, key="arm")
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(BadInput, match=r"damaged.*delete it"):
        features_of(TinyExtractor(), pictures, cache=tmp_path, key="arm")
