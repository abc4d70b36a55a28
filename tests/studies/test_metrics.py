"""Metrics inside a study: from pictures on disk to the record, the same at every start, and small enough to commit."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from sdaccel.errors import BadInput
from sdaccel.metrics.paired import psnr
from sdaccel.samples import Samples, canonical, digest
from sdaccel.studies import records
from sdaccel.studies.verify import verify
from tests.studies.frame import plan, run

ARMS = (
    "generator=world_classes",
    "data=world_classes",
    "data.limit=12",
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
def record(output: Path, clip: Path) -> dict[str, Any]:
    checks = "study.checks=[{at_least: [real, other], metric: judge.class, bound: 0.9}, {disjoint: [real, other], metric: fid}]"
    return run(*ARMS, "metrics=world", f"metrics.clip={clip}", checks, output=output)


def test_every_arm_has_what_its_suite_promises(record: dict[str, Any], clip: Path, tmp_path: Path) -> None:
    promised = plan(*ARMS, "metrics=world", f"metrics.clip={clip}", output=tmp_path)
    names = set(promised.metrics.names(promised.conditions))
    real, other = (record["content"]["arms"][name]["metrics"] for name in ("real", "other"))
    assert set(other) == names
    assert names - set(real) == {"psnr", "ssim", "perceptual", "fid_difference", "kid_difference"}
    assert all(found["estimate"] is not None or found["note"] for found in other.values())


def test_values_are_of_the_pictures_on_disk(record: dict[str, Any], output: Path) -> None:
    values = record["content"]["arms"]["other"]["values"]
    a, b = (Samples(output / "samples" / record["samples"][name]) for name in ("real", "other"))
    own = [psnr(*(np.asarray(_opened(s, i)) for s in (a, b))) for i in range(12)]
    assert values["psnr"] == pytest.approx(own, rel=1e-5)
    assert values["judge.class"] == [1] * 12


def _opened(samples: Samples, index: int) -> Any:
    from PIL import Image

    return Image.open(samples.image(index))


def test_what_too_few_samples_cannot_tell_is_open_and_the_rest_is_decided(record: dict[str, Any]) -> None:
    assert [v["passed"] for v in record["content"]["checks"]] == [True, True, None]
    assert record["content"]["verdict"] == "open"


def test_a_second_run_ends_in_the_same_content(record: dict[str, Any], output: Path, clip: Path) -> None:
    (path,) = output.glob("sample-*/record.json")
    spec = record["content"]["config"]["study"]["checks"]
    again = run(
        *ARMS, "metrics=world", f"metrics.clip={clip}", f"study.checks={json.dumps(spec)}".replace('"', ""), output=output
    )
    assert again["content_hash"] == record["content_hash"]
    assert records.load(path) == again


def test_metrics_are_part_of_what_a_study_is_and_where_their_files_lie_is_not(output: Path, clip: Path, tmp_path: Path) -> None:
    import shutil

    moved = shutil.copytree(clip, tmp_path / "elsewhere" / clip.name)
    without, here, there = (
        records.run_id(plan(*ARMS, *more, output=output))
        for more in ([], ["metrics=world", f"metrics.clip={clip}"], ["metrics=world", f"metrics.clip={moved}"])
    )
    assert here == there != without


def test_samples_are_shared_with_the_study_without_metrics(record: dict[str, Any], output: Path) -> None:
    plain = run(*ARMS, output=output)
    assert plain["samples"] == record["samples"]
    assert "metrics" not in plain["content"]["arms"]["real"] and "metrics" not in plain["content"]["config"]


def test_a_record_of_ten_arms_and_two_thousand_prompts_stays_below_four_megabytes() -> None:
    dice = random.Random(0)
    text = "a medium yellow striped square left of a small purple dotted star with a small red flat ring below them"
    columns = ("judge.mean", "clip_score", "clip_top1", "psnr", "ssim", "perceptual")
    arm = {
        "samples": [{"index": i, "image": digest(bytes([i % 256]))} for i in range(2000)],
        "values": {name: [round(dice.random(), 6) for _ in range(2000)] for name in columns},
    }
    record = {"config": {"data": {"conditions": [text] * 2000}}, "arms": {f"arm {i}": arm for i in range(10)}}
    assert len(records.laid_out(record)) < 4e6


@pytest.mark.parametrize("value", [{}, [], [[1, 2], {"a": [3, None]}], {"a": {"b": ["ü", '"']}}, [1.5, None], "x"])
def test_the_layout_changes_no_value(value: Any) -> None:
    assert json.loads(records.laid_out(value)) == value


def test_a_record_in_the_layout_of_old_is_read(record: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(json.dumps(record, indent=1))
    assert records.load(path) == record
    path.write_text(json.dumps(record, indent=1).replace('"estimate": 1,', '"estimate": 2,', 1))
    with pytest.raises(BadInput, match="was changed"):
        records.load(path)
    assert digest(canonical(record["content"])) == record["content_hash"]


def test_a_record_with_metrics_verifies_and_a_forged_one_does_not(record: dict[str, Any]) -> None:
    quiet = Console(quiet=True)
    assert verify(record, samples=2, console=quiet) == []
    forged = json.loads(json.dumps(record))
    forged["content"]["arms"]["real"]["samples"][1]["image"] = "0" * 64
    (difference,) = verify(forged, samples=2, console=quiet)
    assert "real, sample 1: image" in difference
