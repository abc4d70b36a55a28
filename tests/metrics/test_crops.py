"""Laws of crops: they cover a picture, and the picture is the sample, however many rows it is."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sdaccel.metrics.crops import OF_CROPS, SIDE, Cropped, corners, crop_features, over_crops
from sdaccel.metrics.distances import Distance, difference_interval, distance_interval
from sdaccel.metrics.distribution import CMMD, FID, KID, Distribution
from sdaccel.metrics.intervals import Interval
from sdaccel.metrics.kernel import kid_interval
from sdaccel.metrics.pairs import psnr_batch
from sdaccel.metrics.pictures import Pictures
from sdaccel.metrics.suites.world import World
from tests.metrics.coverage import DISTANCES
from tests.metrics.tiny import TinyExtractor, gaussian_set, images


@pytest.mark.parametrize(("height", "width", "count"), [(64, 64, 1), (256, 256, 16), (128, 200, 8), (65, 64, 2), (40, 30, 1)])
def test_few_crops_cover_a_picture(height: int, width: int, count: int) -> None:
    seen, places = np.zeros((height, width), int), corners(height, width)
    for top, left in places:
        assert seen[top : top + SIDE, left : left + SIDE].shape == (min(SIDE, height), min(SIDE, width))
        seen[top : top + SIDE, left : left + SIDE] += 1
    assert len(places) == count and seen.min() == 1


def ends(interval: Interval) -> tuple[float, float, float]:
    return interval.estimate, interval.low, interval.high


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize("strata", [None, torch.arange(60) % 3])
def test_a_sample_that_is_the_same_row_again_counts_once(name: str, strata: Tensor | None) -> None:
    distance, extrapolate = DISTANCES[name], name == "fid"
    x, y, z = (gaussian_set(60, 6, seed=seed, scale=1 + seed / 10) for seed in (1, 2, 3))
    a, b, c = (rows[:, None].expand(-1, 3, -1) for rows in (x, y, z))
    plain = distance_interval(distance, x, y, extrapolate=extrapolate, strata=strata)
    assert ends(distance_interval(distance, a, b, extrapolate=extrapolate, strata=strata)) == pytest.approx(ends(plain))
    plain = difference_interval(distance, x, z, y, paired=True, extrapolate=extrapolate, strata=strata)
    found = difference_interval(distance, a, c, b, paired=True, extrapolate=extrapolate, strata=strata)
    assert ends(found) == pytest.approx(ends(plain))


@pytest.mark.parametrize("name", DISTANCES)
def test_rows_of_a_sample_are_in_no_order(name: str) -> None:
    x, y = (gaussian_set(120, 6, seed=seed).view(40, 3, 6) for seed in (1, 2))
    order = torch.tensor([2, 0, 1])
    assert value(DISTANCES[name], x[:, order], y) == pytest.approx(value(DISTANCES[name], x, y))


def value(distance: Distance, x: Tensor, y: Tensor) -> tuple[float, float]:
    found = distance(x, y, None)
    return found.value, found.variance


def test_distances_of_crops_are_the_functions_of_the_features_of_crops(tmp_path: Path) -> None:
    extractor, real, own, other = TinyExtractor(), *(images(48, side=128, seed=seed, low=40 * seed) for seed in (1, 2, 3))
    sets = Distribution(
        extractor, listed(real), of=(FID, KID, CMMD), conditions=["a", "b"], key="real", cache=tmp_path, read=crop_features
    )
    arm = Pictures("arm", "arm", lambda: listed(own), "baseline", paired=True)
    found = Cropped(sets)(arm, Pictures("baseline", "baseline", lambda: listed(other))).aggregates
    x, z = (torch.stack([extractor(s[:, :, y : y + 64, x : x + 64]) for y in (0, 64) for x in (0, 64)], 1) for s in (own, real))
    assert (found["kid_crops"].estimate, found["kid_crops"].low) == pytest.approx(ends(kid_interval(x, z))[:2])
    assert set(found) == set(OF_CROPS.values())


def listed(pixels: Tensor) -> list[np.ndarray]:
    return list(pixels.permute(0, 2, 3, 1).numpy())


def test_a_distance_over_crops_is_the_mean_of_all() -> None:
    a, b = images(3, side=128, seed=1), images(3, side=128, seed=2)
    quarters = [psnr_batch(a[:, :, y : y + 64, x : x + 64], b[:, :, y : y + 64, x : x + 64]) for y in (0, 64) for x in (0, 64)]
    assert torch.allclose(over_crops(psnr_batch)(a, b), torch.stack(quarters).mean(0), rtol=1e-12)
    small = a[:, :, :50, :64], b[:, :, :50, :64]
    assert torch.equal(over_crops(psnr_batch)(*small), psnr_batch(*small))


def test_without_the_option_the_suite_is_what_it_was() -> None:
    plain, crops = World(), World(crops=True)
    assert plain.identity() == {k: v for k, v in crops.identity().items() if k != "crops"} != crops.identity()
    assert set(crops.names(["a red star"])) - set(plain.names(["a red star"])) == {*OF_CROPS.values(), "perceptual_crops"}
