"""Metrics inside a study: from pictures on disk to the record, the same at every start, and small enough to commit."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdaccel.metrics.paired import psnr
from sdaccel.records.read import load
from sdaccel.records.view import Record
from sdaccel.samples import Samples
from sdaccel.studies.content import run_id
from tests.studies.frame import plan, run, verified

ARMS = (
    "generator=world_classes",
    "data=world_classes",
    "data.limit=16",
    "data.batch_size=4",
    "study.timing.repeats=0",
    "+study.arms.real={}",
    "+study.arms.other={generator.split: val}",
    "study.baseline=real",
)


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("metrics")


@pytest.fixture(scope="module")
def record(output: Path, clip: Path) -> Record:
    checks = "study.checks=[{at_most: [real, other], metric: judge.class, bound: 9}, {disjoint: [real, other], metric: fid}]"
    return run(*ARMS, "metrics=world", f"metrics.clip={clip}", checks, output=output)


def test_every_arm_has_what_its_suite_promises(record: Record, clip: Path, tmp_path: Path) -> None:
    promised = plan(*ARMS, "metrics=world", f"metrics.clip={clip}", output=tmp_path)
    names = set(promised.metrics.names(promised.conditions))
    real, other = (record.arms[name].metrics for name in ("real", "other"))
    assert set(other) == names
    assert names - set(real) == {"psnr", "ssim", "perceptual", "fid_difference", "kid_difference"}
    assert all(found.estimate is not None or found.note for found in other.values())


def test_values_are_of_the_pictures_on_disk(record: Record, output: Path) -> None:
    values = record.arms["other"].values
    a, b = (Samples(output / "samples" / record.folders[name]) for name in ("real", "other"))
    own = [psnr(*(np.asarray(_opened(s, i)) for s in (a, b))) for i in range(16)]
    assert values["psnr"] == pytest.approx(own, rel=1e-5)
    assert values["judge.class"] == [1] * 16


def _opened(samples: Samples, index: int) -> Any:
    from PIL import Image

    return Image.open(samples.image(index))


def test_what_too_few_samples_cannot_tell_is_open_and_the_rest_is_decided(record: Record) -> None:
    assert [v.passed for v in record.checks] == [True, True, None]
    assert record.verdict == "open"


def test_a_second_run_ends_in_the_same_content(record: Record, output: Path, clip: Path) -> None:
    (path,) = output.glob("sample-*/record.json")
    spec = record.content["config"]["study"]["checks"]
    again = run(
        *ARMS, "metrics=world", f"metrics.clip={clip}", f"study.checks={json.dumps(spec)}".replace('"', ""), output=output
    )
    assert again == record == load(path)


def test_metrics_are_part_of_what_a_study_is_and_where_their_files_lie_is_not(output: Path, clip: Path, tmp_path: Path) -> None:
    import shutil

    moved = shutil.copytree(clip, tmp_path / "elsewhere" / clip.name)
    without, here, there = (
        run_id(plan(*ARMS, *more, output=output))
        for more in ([], ["metrics=world", f"metrics.clip={clip}"], ["metrics=world", f"metrics.clip={moved}"])
    )
    assert here == there != without


def test_samples_are_shared_with_the_study_without_metrics(record: Record, output: Path) -> None:
    plain = run(*ARMS, output=output)
    assert plain.folders == record.folders
    assert not plain.measured and "metrics" not in plain.content["config"]


def test_a_record_with_metrics_verifies(record: Record) -> None:
    assert verified(record) == []
