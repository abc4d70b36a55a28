"""Laws of the scorers: what each says of pictures whose quality is known beforehand."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sdaccel import world
from sdaccel.metrics.aggregate import Aggregate, Scores, digits, of_samples, of_values
from sdaccel.metrics.distribution import FID, KID, MANIFOLD, Distribution, shuffled_score
from sdaccel.metrics.extractors import FeatureExtractor
from sdaccel.metrics.frechet import fid
from sdaccel.metrics.frechet_interval import fid_interval
from sdaccel.metrics.judge import Judge
from sdaccel.metrics.judged import Judged, names_of
from sdaccel.metrics.kernel import kid_difference, kid_interval
from sdaccel.metrics.paired import psnr
from sdaccel.metrics.pairs import Paired, psnr_batch
from sdaccel.metrics.pictures import Pictures, batched, of_world
from sdaccel.metrics.texts import Texts
from sdaccel.shipped import restore
from sdaccel.world.captions import captions, encode
from sdaccel.world.reading import near_misses
from tests.metrics.tiny import TinyExtractor, images

CPU = torch.device("cpu")


def listed(pixels: Tensor) -> list[np.ndarray]:
    return list(pixels.permute(0, 2, 3, 1).numpy())


def pictures(items: Iterable[np.ndarray], name: str = "arm", **more: Any) -> Pictures:
    kept = list(items)
    return Pictures(name, name, lambda: kept, **more)


@pytest.fixture(scope="module")
def judge() -> Any:
    return restore("judge_mini", Judge())


def test_aggregates_hold_six_digits_and_whole_numbers_stay_whole() -> None:
    assert [digits(v) for v in (1.0, 1 / 3, 123456.789, float("inf"), None)] == [1, 0.333333, 123457, None, None]
    found = of_samples({"a": np.array([0.5, np.inf, 1.0, np.nan])})
    assert found.values == {"a": [0.5, None, 1, None]}
    assert (found.aggregates["a"].estimate, found.aggregates["a"].n) == (0.75, 2)


def test_no_value_and_one_value_say_so_and_are_no_error() -> None:
    assert of_values(np.array([np.inf])).estimate is None
    assert of_values(np.array([2.0])) == Aggregate(2.0, 1, note="an interval needs two or more samples")


def test_a_set_is_scored_as_the_functions_score_its_features(tmp_path: Path) -> None:
    extractor, real, own = TinyExtractor(), images(60, seed=1), images(56, seed=2, high=200)
    sets = Distribution(extractor, listed(real), of=(FID, KID), conditions=["a", "b"], key="real", cache=tmp_path)
    found = sets(pictures(listed(own)), None).aggregates
    x, y = extractor(own), extractor(real)
    assert found["fid_plug_in"].estimate == pytest.approx(fid(x, y))
    assert (found["fid"].low, found["fid"].high) == pytest.approx((fid_interval(x, y).low, fid_interval(x, y).high))
    assert found["kid"].estimate == pytest.approx(kid_interval(x, y).estimate)
    assert set(found) == {"fid", "fid_plug_in", "kid"}


@pytest.mark.parametrize("paired", [True, False])
def test_differences_are_to_the_baseline_and_know_about_pairs(paired: bool, tmp_path: Path) -> None:
    extractor, real, a, b = TinyExtractor(), images(50, seed=1), images(50, seed=2), images(50, seed=3, high=180)
    sets = Distribution(extractor, listed(real), of=(KID,), conditions=["a", "b"], key="real", cache=tmp_path)
    baseline = pictures(listed(b), "baseline")
    found = sets(pictures(listed(a), against="baseline", paired=paired), baseline).aggregates["kid_difference"]
    wanted = kid_difference(extractor(a), extractor(b), extractor(real), paired=paired)
    assert (found.estimate, found.low) == pytest.approx((wanted.estimate, wanted.low))


def test_too_few_samples_leave_the_interval_out_and_say_how_many_are_needed(tmp_path: Path) -> None:
    sets = Distribution(
        TinyExtractor(), listed(images(47)), of=(FID, KID, MANIFOLD), conditions=["a", "b"], key="r", cache=tmp_path
    )
    some = sets(pictures(listed(images(40, seed=4)), "some"), None).aggregates
    assert some["fid"].estimate is None and "48 or more" in some["fid"].note
    assert some["fid_plug_in"].estimate is not None and some["kid"].low is not None
    few = sets(pictures(listed(images(3)), "few"), None).aggregates
    assert all(found.estimate is None and found.note for found in few.values()) and set(few) == set(some)


@pytest.mark.parametrize("kind", ["classes", "captioned"])
def test_the_judge_finds_real_pictures_right_and_those_of_other_conditions_wrong(kind: str, judge: Any) -> None:
    scenes = getattr(world, kind)("val", range(96))
    conditions: list[int | str] = [*captions(scenes)] if kind == "captioned" else scenes.labels.tolist()
    drawn = list(of_world(kind, "val", 96, size=64))
    right = Judged(judge, conditions, CPU)(pictures(drawn), None).aggregates
    wrong = Judged(judge, conditions[1:] + conditions[:1], CPU)(pictures(drawn), None).aggregates
    assert right["judge.mean"].estimate > 0.98  # type: ignore[operator]
    assert wrong["judge.mean"].estimate < 0.5  # type: ignore[operator]
    assert set(right) == set(names_of(conditions))
    if kind == "classes":
        assert right["judge.class"].estimate > 0.98 > 0.2 > wrong["judge.class"].estimate  # type: ignore[operator]
        assert right["inception_score"].estimate > 5  # type: ignore[operator]


def test_pictures_of_another_size_are_judged_at_the_judges(judge: Any) -> None:
    conditions: list[int | str] = world.classes("val", range(48)).labels.tolist()
    found = Judged(judge, conditions, CPU)(pictures(of_world("classes", "val", 48, size=128)), None)
    assert found.aggregates["judge.class"].estimate > 0.97  # type: ignore[operator]
    assert found.values["judge.class"] == [1] * 48


def test_attributes_that_no_caption_states_are_not_judged(judge: Any) -> None:
    assert names_of(["a red star"]) == ("judge.mean", "judge.count", "judge.colour", "judge.shape")
    drawn = list(of_world("captioned", "val", 2, size=64))
    found = Judged(judge, ["a red star", "a red star left of a ring"], CPU)(pictures(drawn), None).aggregates
    assert found["judge.relation"].n == 1


def test_order_does_not_matter_to_the_inception_score() -> None:
    one_class_after_the_other = torch.eye(5, dtype=torch.float64).repeat_interleave(200, 0)
    assert shuffled_score(one_class_after_the_other).estimate == pytest.approx(5, rel=0.05)
    assert shuffled_score(one_class_after_the_other[:9]).estimate is None


def test_pairs_are_compared_in_order_and_identical_ones_left_out_of_psnr() -> None:
    a, b = images(5, seed=1), images(5, seed=2)
    b[3] = a[3]
    baseline = pictures(listed(b), "baseline")
    scores = Paired(lambda x, y: (x.double() - y).abs().flatten(1).mean(1), CPU)
    found = scores(pictures(listed(a), against="baseline", paired=True), baseline)
    wanted = [psnr(x, y) for x, y in zip(listed(a), listed(b), strict=True)]
    assert found.values["psnr"] == [digits(v) for v in wanted] and found.values["psnr"][3] is None
    assert (found.aggregates["psnr"].n, found.values["ssim"][3], found.values["perceptual"][3]) == (4, 1, 0)
    assert scores(pictures(listed(a), against="baseline"), baseline) == Scores()
    assert scores(pictures(listed(a)), None) == Scores()


def test_psnr_of_a_batch_never_wraps() -> None:
    black, white = torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.full((1, 3, 8, 8), 255, dtype=torch.uint8)
    assert float(psnr_batch(black, white)) == 0


class Oracle(FeatureExtractor):
    """Knows the caption of every picture, which carries its number in its first pixel, and hides it in some noise."""

    name, input_size, num_features, fingerprint = "oracle", 8, 16, "0" * 16

    def __init__(self, prompts: list[str], *, noise: float) -> None:
        super().__init__()
        self.model = self
        self.anchor = torch.nn.Parameter(torch.zeros(()))
        self.own, self.noise = self.encode_text(encode(prompts)), noise

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Every sentence its own direction."""
        seeds = (tokens * torch.arange(1, 33) ** 3).sum(1)
        return torch.stack([torch.randn(16, generator=torch.Generator().manual_seed(int(s))) for s in seeds])

    def features(self, pixels: Tensor) -> Tensor:
        own = self.own[pixels[:, 0, 0, 0].long()]
        return own + self.noise * torch.randn(own.shape, generator=torch.Generator().manual_seed(0))


def numbered(count: int) -> list[np.ndarray]:
    return [np.full((8, 8, 3), i, np.uint8) for i in range(count)]


def test_a_picture_that_knows_its_caption_finds_it_and_one_that_does_not_finds_it_by_chance(tmp_path: Path) -> None:
    prompts = captions(world.captioned("test", range(200)), complete=True)
    found = [
        Texts(Oracle(prompts, noise=noise), encode, prompts, cache=tmp_path / str(noise), near_misses=near_misses)(  # type: ignore[arg-type]
            pictures(numbered(200)), None
        ).aggregates
        for noise in (0.0, 1e3)
    ]
    assert (found[0]["clip_top1"].estimate, found[0]["clip_score"].estimate) == (1, pytest.approx(100))
    assert found[1]["clip_top1"].estimate < 0.08  # type: ignore[operator]


def test_a_prompt_that_occurs_twice_is_no_rival_of_its_own(tmp_path: Path) -> None:
    prompts = captions(world.captioned("test", range(100)), complete=True)
    twice = [*prompts, *prompts]
    oracle: Any = Oracle(twice, noise=0)
    found = Texts(oracle, encode, twice, cache=tmp_path, near_misses=near_misses)(pictures(numbered(200)), None)
    assert found.aggregates["clip_top1"].estimate == 1


def test_fewer_than_64_prompts_leave_the_retrieval_out(tmp_path: Path) -> None:
    prompts = captions(world.captioned("test", range(10)), complete=True)
    oracle: Any = Oracle(prompts, noise=0)
    found = Texts(oracle, encode, prompts, cache=tmp_path, near_misses=near_misses)(pictures(numbered(10)), None)
    assert found.aggregates["clip_top1"].estimate is None and "64" in found.aggregates["clip_top1"].note


def test_batches_hold_everything_once() -> None:
    assert list(batched(range(5), 2)) == [[0, 1], [2, 3], [4]]
