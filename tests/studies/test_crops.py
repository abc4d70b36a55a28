"""The control of metrics at full size: blurred real pictures pass where networks see 64 px, and fail by crops and in pairs."""

from pathlib import Path

import pytest

from sdaccel.records.view import Metric, Record
from tests.studies.frame import plan, run

STUDY = (
    "generator=world_captions",
    "data=world_captions",
    "data.limit=64",
    "data.batch_size=16",
    "metrics=world",
    "metrics.crops=true",
    "study.timing.repeats=0",
    "+study.arms.real={}",
    "+study.arms.blurred={generator.blur: 4}",
    "study.baseline=real",
)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    return run(*STUDY, output=tmp_path_factory.mktemp("crops"))


def ends(found: Metric) -> tuple[float, float]:
    assert found.ends is not None
    return found.ends


def test_at_64_px_a_blurred_picture_is_as_good_as_a_real_one(record: Record) -> None:
    blurred = record.arms["blurred"]
    for name in ("kid", "cmmd", "kid_difference"):
        low, high = ends(blurred.metrics[name])
        assert low < 0 < high
    assert min(blurred.known("judge.mean"), blurred.known("clip_top1")) > 0.95


def test_every_metric_at_full_size_tells_it_from_a_real_one(record: Record) -> None:
    real, blurred = (record.arms[name].metrics for name in ("real", "blurred"))
    for name in ("kid_crops", "cmmd_crops"):
        low, high = ends(real[name])
        assert low < 0 < high and ends(blurred[name])[0] > 0
    assert ends(blurred["kid_crops_difference"])[0] > 0
    assert ends(blurred["ssim"])[1] < 0.95
    assert ends(blurred["perceptual_crops"])[0] > 2 * ends(blurred["perceptual"])[1]


def test_the_study_has_what_its_suite_promises(record: Record, tmp_path: Path) -> None:
    promised = plan(*STUDY, "generator.image_size=256", output=tmp_path)
    assert {arm.generator.height for arm in promised.arms} == {256}
    assert set(record.arms["blurred"].metrics) == set(promised.measured)
