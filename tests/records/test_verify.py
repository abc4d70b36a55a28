"""verify-record against somebody who edits a record: each edit that a value, a figure or a verdict contradicts is found."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdaccel.cli.verify import main
from sdaccel.metrics.aggregate import of_values
from sdaccel.records import figures, read, store
from sdaccel.records.findings import Findings
from sdaccel.samples import canonical, digest
from sdaccel.studies import rejudged, rerun, since
from tests.conftest import CONF, ROOT
from tests.metrics.tiny import world_clip
from tests.studies.frame import run

STUDY = (
    "generator=world_classes",
    "data=world_classes",
    "data.limit=12",
    "data.batch_size=4",
    "study.baseline=real",
    "+study.arms.real={}",
    "+study.arms.other={generator.split: val}",
    "study.checks=[{at_least: [real, other], metric: judge.class, bound: 0.5},"
    " {at_least: [real, other], metric: judge.mean, bound: 0.5}]",
    "study.timing.repeats=0",
    "metrics=world",
)
Edit = Callable[[dict[str, Any], dict[str, Any]], None]
"""Of a record and of what belongs to its samples."""


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("honest")
    run(*STUDY, f"metrics.clip={world_clip(tmp_path_factory.mktemp('clip'))}", output=output)
    (path,) = output.glob("*/record.json")
    return path


@pytest.fixture
def path(honest: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(honest.parent, tmp_path / "run")) / "record.json"


def rehashed(path: Path, edit: Edit) -> None:
    """The edit, and every hash made anew."""
    record = store.load(path)
    each = store.load_each(path, record["content"]["samples"])
    edit(record, each)
    record["content"]["samples"] = digest(canonical(each))
    store.save(record | store.hashes(record), path, each=each)


def setting(*where: Any, value: Any) -> Edit:
    def edit(record: dict[str, Any], each: dict[str, Any]) -> None:
        inner = record
        for key in where[:-1]:
            inner = inner[key]
        assert inner[where[-1]] != value
        inner[where[-1]] = value

    return edit


def looks(path: Path) -> list[Findings]:
    """What is found without making any sample."""
    record = read.load(path)
    return [figures.recomputed(record), rejudged.rejudged(record), figures.clocked(record)]


def test_an_honest_record_is_verified_whole(honest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(honest), "--all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines if line[0] != " "][:-1] == [
        "hashes",
        "figures",
        "verdicts",
        "timing",
        "checks",
        "code",
        "samples",
    ]
    assert lines[-1].endswith("verified on all 12 samples of 2 arms made and measured anew")


OTHER = ("content", "arms", "other")


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (setting(*OTHER, "metrics", "judge.class", "estimate", value=0.99), "judge.class of other is 0.99"),
        (setting(*OTHER, "metrics", "perceptual", "low", value=0.0), "perceptual of other has the low end 0.0"),
        (setting(*OTHER, "metrics", "psnr", "n", value=600), "psnr of other is of 600 samples"),
        (setting(*OTHER, "paired", "psnr", value=40.0), "other in pairs: 40.0 dB"),
        (
            setting("content", "checks", 1, "passed", value=False),
            "at_least judge.class of other: 1 (fail), and by its figures 1 (pass)",
        ),
        (
            setting("content", "checks", 2, "measured", value=1.1),
            "at_least judge.mean of real: 1.1 (pass), and by its figures 1 (pass)",
        ),
        (setting("content", "checks", 0, "bound", value=0.1), "the configuration asks for no value >= 0.1"),
        (setting("content", "checks", 0, "arm", value="other"), "there is no verdict at_least judge.class of real"),
        (lambda record, each: record["content"]["checks"].pop(1), "there is no verdict at_least judge.class of other"),
        (setting("content", "verdict", value="fail"), "the whole is fail, its verdicts make it pass"),
        (setting("content", "failures", value=["it failed"]), "1 reasons to fail are given"),
    ],
    ids=range(11),
)
def test_an_edit_is_found_though_it_was_hashed_anew(edit: Edit, says: str, path: Path) -> None:
    rehashed(path, edit)
    assert says in "\n".join(line for look in looks(path) for line in look.differs)


def test_an_edited_median_is_not_that_of_its_rounds(path: Path) -> None:
    seconds = {"p10": 0.9, "p50": 1.0, "p90": 1.1, "n": 3}
    timed = {"seconds": seconds, "rounds": [0.9, 1.0, 1.1], "baseline": None, "speedup": None, "peak_bytes": 1}
    rehashed(path, setting("timing", value={"batch_size": 2, "arms": {"real": timed}}))
    assert not any(look.differs for look in looks(path))
    rehashed(path, setting("timing", "arms", "real", "seconds", "p50", value=0.5))
    assert "real: the median is 0.5 s" in looks(path)[-1].differs[0]


def flattered(record: dict[str, Any], each: dict[str, Any]) -> None:
    """Sample 3 of `other` is nearer than it was, and the mean with it, interval and all."""
    values = each["other"]["values"]["perceptual"]
    values[3] /= 2
    record["content"]["arms"]["other"]["metrics"]["perceptual"] = of_values(np.array(values)).content()


def test_an_edited_value_whose_mean_was_edited_too_is_found_where_its_sample_is_made_anew(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rehashed(path, flattered)
    rehashed(path, setting(*OTHER, "metrics", "precision", "estimate", value=0.123))
    assert not any(look.differs for look in looks(path)), "the record agrees with itself"
    assert main([str(path), "--which", "4,9"]) == 0
    out = capsys.readouterr().out
    assert "verified on 8 of 12 samples (4-11) of 2 arms" in out
    assert "not checked: fid, fid_plug_in" in out, "nor precision"
    assert main([str(path), "--which", "2"]) == 1, "samples 0 to 3 are one batch"
    assert "other, sample 3: perceptual is" in capsys.readouterr().out
    assert main([str(path), "--all"]) == 1
    assert "other: estimate of precision is" in capsys.readouterr().out


@pytest.mark.parametrize(
    "where", [(*OTHER, "metrics", "psnr", "estimate"), ("provenance", "device_name"), ("provenance", "libraries", "torch")]
)
def test_an_edit_that_was_not_hashed_anew_is_a_mismatch(
    where: tuple[Any, ...], path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = json.loads(path.read_bytes())
    setting(*where, value="other")(record, {})
    path.write_text(json.dumps(record))
    assert main([str(path)]) == 1
    assert "was changed after it was written" in capsys.readouterr().out


def test_a_record_of_another_machine_is_never_verified(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def elsewhere(record: dict[str, Any], each: dict[str, Any]) -> None:
        record["provenance"] |= {"device": "cuda", "device_name": "NVIDIA H200", "torch": "2.11.0+cu130"}

    rehashed(path, elsewhere)
    assert main([str(path)]) == 2
    out = capsys.readouterr().out
    assert "NVIDIA H200 with torch 2.11.0+cu130" in out and "torch==2.11.0 in place of the one pinned" in out
    assert out.splitlines()[-1].endswith("not verified: what can be checked here agrees, and not all arms were made anew")
    rehashed(path, setting(*OTHER, "metrics", "psnr", "estimate", value=50.0))
    assert main([str(path)]) == 1, "what remains is checked"


def test_samples_are_those_of_whole_batches_and_others_every_time(honest: Path) -> None:
    record = read.load(honest)
    drawn = {tuple(rerun.chosen(record, samples=1)) for _ in range(60)}
    assert drawn == {(0, 1, 2, 3), (4, 5, 6, 7), (8, 9, 10, 11)}
    assert len(rerun.chosen(record, samples=5)) == 8
    assert rerun.chosen(record, samples=1, everything=True) == list(range(12))


@pytest.mark.parametrize("argv", [["--samples", "0"], ["--which", "12"], ["--which", "two"], ["--which", "1", "--all"]])
def test_what_cannot_be_asked_for_is_one_line(argv: list[str], honest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(honest), *argv]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    "name",
    [
        "stack_diagnostics-744",
        "stack_diagnostics-84c",
        "interval1_equivalence-9313a07099ff-f7e",
        "equivalence_nextscale",
        "var_baseline",
        "flux_baseline",
    ],
)
def test_committed_records_agree_with_themselves(name: str) -> None:
    """Of every check that records of formats 1 and 2 hold one that passed, failed or caught a control."""
    (path,) = ROOT.glob(f"reports/results/*/{name}*.json")
    record = read.load(path)
    found = rejudged.rejudged(record)
    assert not found.differs and not found.unseen


def test_figures_of_a_committed_record_are_those_of_its_values() -> None:
    (path,) = ROOT.glob("reports/results/engine_quality/engine_quality-420*.json")
    assert not figures.recomputed(read.load(path)).differs


def test_checks_that_the_yaml_has_changed_are_listed(tmp_path: Path) -> None:
    (path,) = ROOT.glob("reports/results/flux_baseline/*.json")
    record, conf = read.load(path), tmp_path / "exp"
    conf.mkdir()
    text = (CONF / "exp" / "flux_baseline.yaml").read_text()
    (conf / "flux_baseline.yaml").write_text(text.replace("bound: 0.97", "bound: 0.5"))
    notes = since.changed(record, tmp_path).notes
    assert "only today: {at_least: [real], metric: judge.mean, bound: 0.5}" in notes
    assert "only in the record: {at_least: [real], metric: judge.mean, bound: 0.97}" in notes
