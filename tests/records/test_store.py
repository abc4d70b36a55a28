"""Records on disk: whole or refused, small enough to commit, and without a Python path."""

import gzip
import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from sdaccel.errors import BadInput
from sdaccel.measure.speedup import speedup
from sdaccel.measure.timing import summary
from sdaccel.records import read, store
from sdaccel.records.promote import promote
from sdaccel.samples import canonical, digest


@pytest.fixture
def path(folder: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(folder, tmp_path / "run")) / "record.json"


def edited(path: Path, where: tuple[Any, ...], value: Any) -> None:
    """Another value in the file, its hashes left as they were."""
    record = json.loads(path.read_bytes())
    inner = record
    for key in where[:-1]:
        inner = inner[key]
    assert inner[where[-1]] != value
    inner[where[-1]] = value
    path.write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("content", "arms", "target", "metrics", "judge.class", "estimate"), 0.123),
        (("content", "verdict"), "pass"),
        (("content", "samples"), "0" * 64),
        (("timing", "arms", "target", "seconds", "p50"), 1e-9),
        (("timing", "arms", "target", "rounds", 0), 1e-9),
        (("provenance", "device_name"), "NVIDIA H200"),
        (("provenance", "command", 1), "+exp=other"),
        (("samples", "target"), "elsewhere"),
        (("id",), "sample-000000000000-000000"),
        (("timing_hash",), "0" * 64),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_what_was_changed_by_hand_is_found_on_load(where: tuple[Any, ...], value: Any, path: Path) -> None:
    assert read.load(path).verdict == "fail", "skipping a scale changes tokens"
    edited(path, where, value)
    with pytest.raises(BadInput, match="was changed after it was written"):
        read.load(path)


@pytest.mark.parametrize("name", ["content_hash", "timing_hash", "provenance_hash", "record_hash", "timing"])
def test_a_record_of_today_without_a_part_or_a_hash_is_none(name: str, path: Path) -> None:
    record = json.loads(path.read_bytes())
    del record[name]
    path.write_text(json.dumps(record))
    with pytest.raises(BadInput, match=f"is not a record .*{name}"):
        read.load(path)


def test_ids_and_equality_use_content_alone(path: Path) -> None:
    record = store.load(path)
    assert record["content_hash"] == digest(canonical(record["content"]))
    assert record["id"].endswith(record["content_hash"][:6])


def test_it_holds_no_python_path_and_every_round(path: Path) -> None:
    text = path.read_text()
    assert "_target_" not in text and "sdaccel." not in text
    record = read.load(path)
    assert [arm.strategy.name for arm in record.arms.values()] == ["original", "scale_skipping", "scale_skipping"]
    arms = record.timing.arms
    assert {len(timed.rounds) for timed in arms.values()} == {2}
    assert [sorted(turns) for turns in record.timing.order] == [list(range(len(arms)))] * 2
    for timed in arms.values():
        assert vars(timed.seconds) == summary(timed.rounds), "medians derive from rounds"
        assert timed.speedup == speedup(arms["target"].rounds, timed.rounds)
    facts = record.arms["target"].facts
    assert facts.exact and facts.random_weights and list(facts.models["generator"].scales) == [1, 2, 4]


def test_what_belongs_to_samples_comes_back_and_its_bytes_are_the_same_every_time(path: Path, tmp_path: Path) -> None:
    raw, record = store.load(path), read.load(path)
    each = store.load_each(path, raw["content"]["samples"])
    for name, arm in record.arms.items():
        assert [(s.index, s.image, s.arrays) for s in arm.samples] == [
            (s["index"], s["image"], s["arrays"]) for s in each[name]["samples"]
        ]
        assert len(arm.values["judge.class"]) == len(arm.samples) == 2
    again = tmp_path / "again" / "record.json"
    store.save(raw, again, each=each)
    assert again.read_bytes() == path.read_bytes()
    assert store.sidecar(again).read_bytes() == store.sidecar(path).read_bytes()


def _forged(sidecar: Path) -> None:
    text = gzip.decompress(sidecar.read_bytes()).replace(b'"judge.class":[', b'"judge.class":[1,', 1)
    sidecar.write_bytes(gzip.compress(text, mtime=0))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_forged, "was changed after it was written"),
        (lambda sidecar: sidecar.write_bytes(sidecar.read_bytes()[:-20]), "is damaged"),
        (lambda sidecar: sidecar.write_bytes(b"no gzip"), "is damaged"),
        (lambda sidecar: sidecar.unlink(), "is missing"),
    ],
)
def test_samples_that_are_not_those_of_the_record_are_refused_when_asked_for(
    spoil: Any, says: str, path: Path, tmp_path: Path
) -> None:
    spoil(store.sidecar(path))
    record = read.load(path)
    with pytest.raises(BadInput, match=says):
        _ = record.arms["target"].samples
    with pytest.raises(BadInput, match=says):
        promote(path, samples=tmp_path, reports=tmp_path / "reports")


def test_promotion_brings_both_files(folder: Path, tmp_path: Path) -> None:
    target = promote(folder / "record.json", samples=folder.parent / "samples", reports=tmp_path)
    assert target.read_bytes() == (folder / "record.json").read_bytes()
    assert read.load(target).arms["target"].samples == read.load(folder / "record.json").arms["target"].samples


def test_a_record_of_ten_arms_and_two_thousand_prompts_stays_below_two_megabytes(tmp_path: Path) -> None:
    dice = random.Random(0)
    text = "a medium yellow striped square left of a small purple dotted star with a small red flat ring below them"
    columns = ("judge.mean", "clip_score", "clip_top1", "psnr", "ssim", "perceptual")
    each = {
        f"arm {i}": {
            "samples": [{"index": i, "image": digest(dice.randbytes(4))} for i in range(2000)],
            "values": {name: [round(dice.random(), 6) for _ in range(2000)] for name in columns},
        }
        for i in range(10)
    }
    path = tmp_path / "record.json"
    store.save({"config": {"data": {"conditions": [text] * 2000}}}, path, each=each)
    assert path.stat().st_size + store.sidecar(path).stat().st_size < 2e6


@pytest.mark.parametrize("value", [{}, [], [[1, 2], {"a": [3, None]}], {"a": {"b": ["ü", '"']}}, [1.5, None], "x"])
def test_the_layout_changes_no_value(value: Any) -> None:
    assert json.loads(store.laid_out(value)) == value
