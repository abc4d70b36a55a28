"""Laws of what is measured before a study and of what a study recommends, on a tiny HART."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rich.console import Console

from sdaccel.cli import promote
from sdaccel.records import calibration
from sdaccel.records.read import load
from sdaccel.records.view import Check, Record
from sdaccel.reporting import figures, registry, style, tables
from sdaccel.studies import calibrate, rerun
from sdaccel.studies.outline import outline
from tests.conftest import CONF, ROOT
from tests.studies.frame import plan, run_argv, verified

MODEL = ("generator=hart_tiny", "data=world_captions", "data.limit=2", "data.batch_size=2", "study.timing.repeats=0")
CACHE = (
    *("strategy=stage_cache", "strategy.skip_stages=[9,16,36]", "strategy.cache_stages=[4,9,16]"),
    *("strategy.calibrate=true", "strategy.calibration_samples=2"),
)
STUDY = (
    *MODEL,
    *CACHE,
    "+study.arms.target={strategy: original}",
    "+study.arms.measured={strategy: stage_similarity}",
    "+study.arms.cached={threshold: [0.0, 1.0]}",
    *("study.baseline=target", "study.checks=[{equal: [target, measured, cached]}]", "study.keep=[tokens]"),
    "study.recommend={arms: [cached], name: tiny}",
)
pytestmark = pytest.mark.usefixtures("options_once")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, Path]:
    """The record and its folder; the check fails where a sublayer is reused."""
    output = tmp_path_factory.mktemp("calibrated")
    assert run_argv([*STUDY, f"output={output}"]) == 1
    (path,) = output.glob("sample-*/record.json")
    return load(path), path.parent


def test_looking_and_a_threshold_of_1_change_no_bit_and_reuse_does(ran: tuple[Record, Path]) -> None:
    said = {check.arm: check.passed for check in ran[0].checks}
    assert said == {"measured": True, "cached[threshold=0.0]": False, "cached[threshold=1.0]": True}


def measured(output: Path) -> dict[str, Any]:
    asked = plan(*MODEL, *CACHE, output=output)
    found: dict[str, Any] = calibrate.calibrated(asked, console=Console(quiet=True)).arms[-1].config["strategy"]["similarity"]
    return found


def test_the_same_twice_on_samples_that_the_study_does_not_look_at(ran: tuple[Record, Path], tmp_path: Path) -> None:
    record, folder = ran
    (own,) = {str(arm.strategy.options["similarity"]) for arm in record.arms.values() if arm.template == "cached"}
    assert str(measured(tmp_path)) == own
    assert yaml.safe_load(calibration.place(record, folder).read_text())["strategy"]["similarity"] == measured(tmp_path)
    first = calibrate.measuring(plan(*MODEL, *CACHE, output=tmp_path))
    assert first is not None and first.conditions[:2] == list(record.conditions) and len(set(first.conditions)) == 4


def test_a_promoted_calibration_is_what_the_arm_was(ran: tuple[Record, Path], tmp_path: Path) -> None:
    record, folder = ran
    conf = tmp_path / "conf"
    argv = [str(folder / "record.json"), f"--runs={folder.parent}", f"--reports={tmp_path}", f"--conf={conf}"]
    assert promote.main(argv) == 0
    found = yaml.safe_load((conf / "calibration/tiny.yaml").read_text())
    assert "experimental" not in found and found["strategy"]["threshold"] == 1.0, "the only candidate that passed"
    (arm,) = plan(*MODEL, f"hydra.searchpath=[file://{conf}]", "+study.arms.x={calibration: tiny}", output=tmp_path).arms
    known = record.arms["cached[threshold=1.0]"].strategy
    assert arm.config["strategy"] == {"name": known.name, **known.options}


def test_samples_of_a_record_are_made_again_without_measuring(ran: tuple[Record, Path]) -> None:
    record, folder = ran
    assert not any(map(calibrate.wants, rerun.planned(record, output=folder, conf=CONF).arms))
    assert verified(record, 0, 1) == []


def test_a_dry_run_knows_the_plan_once_it_was_measured(
    ran: tuple[Record, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for output, words in (
        (tmp_path, ["2 samples behind these are measured first", "2 samples of a calibration, made first"]),
        (ran[1].parent, ["eligible sublayers reused (9:", "MACs / ", ran[1].name]),
    ):
        assert run_argv([*STUDY, f"output={output}", "--dry-run"]) == 0
        out = capsys.readouterr().out
        assert all(word in out for word in words), out


def test_prompts_that_end_are_measured_again_with_other_noise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = [*MODEL, *CACHE, "data.world=null", "data.prompts=[a cat, a dog]", f"output={tmp_path}"]
    first = calibrate.measuring(plan(*own[:-1], output=tmp_path))
    assert first is not None and first.conditions == ["a cat", "a dog"] * 2
    assert run_argv([*own, "--dry-run"]) == 0
    assert "2 samples behind these are measured first, with other noise for the same conditions" in capsys.readouterr().out


def test_the_record_counts_hits_by_layer_and_stage(ran: tuple[Record, Path]) -> None:
    reused, idle = (ran[0].arms[f"cached[threshold={value}]"] for value in (0.0, 1.0))
    hits = np.array(reused.diagnostics["reuse"], dtype=float)
    assert hits.shape == (2, 2, 5) and np.isnan(hits[..., :2]).all() and np.isfinite(hits[..., 2:]).all()
    stats = reused.samples[0].stats
    assert [stats["reused_attn"], stats["reused_mlp"]] == np.nansum(hits, 1).astype(int).tolist() and np.nansum(hits) > 0
    assert np.nansum(np.array(idle.diagnostics["reuse"], dtype=float)) == 0


def test_figures_show_what_was_measured_and_reused(ran: tuple[Record, Path]) -> None:
    record, folder = ran
    names = ["stage_similarity", "stage_reuse", "threshold_sweep"]
    figures.validate(names, outline(plan(*STUDY, output=folder)))
    with style.styled():
        alike, reuse, sweep = (registry.figures()[name].draw(record) for name in names)
    known = np.array(record.arms["measured"].diagnostics["similarity"], dtype=float)
    hits = np.array(record.arms["cached[threshold=0.0]"].diagnostics["reuse"], dtype=float)
    for axes, wanted in ((alike.axes[0], known), (reuse.axes[1], hits)):
        shown = axes.images[0].get_array()
        assert shown is not None and np.array_equal(shown, wanted[0, :, 2:])
    ceilings = [record.arms[f"cached[threshold={value}]"].mac_ceiling for value in (0.0, 1.0)]
    assert np.asarray(sweep.axes[1].lines[0].get_ydata()).tolist() == ceilings


def test_tables_count_hits_and_sum_similarities_up(ran: tuple[Record, Path]) -> None:
    found = tables.tables(ran[0], "stage_reuse", "stage_reuse_by_stage", "stage_similarity")
    name, eligible, reused, rate, overall, *_ = found["stage_reuse"].rows[0]
    hits = np.array([row[2:4] for row in found["stage_reuse_by_stage"].rows], dtype=int).sum()
    assert (name, eligible, reused, rate, overall) == ("cached[threshold=0.0]", 12, hits, hits / 12, hits / 20)
    assert found["stage_similarity"].columns[2:] == ("mean", "std", "min", "max", "median", "p80", "p90")
    assert [row[0] for row in found["stage_similarity"].rows] == ["measured"] * 2 + ["calibration of cached"] * 2


def test_of_candidates_that_passed_the_one_with_the_least_work_is_recommended(ran: tuple[Record, Path]) -> None:
    least, most = sorted(calibration.candidates(ran[0]), key=lambda arm: arm.macs)

    def found(*passed: bool | None) -> str | None:
        pairs = zip((least, most), passed, strict=True)
        checks = [Check("c", arm.name, "", 0.0, 0.0, said, "", None, False) for arm, said in pairs]
        best = calibration.recommended(replace(ran[0], checks=checks))
        return best.name if best else None

    assert (found(True, True), found(None, True), found(False, None)) == (least.name, most.name, None)


def test_a_committed_calibration_is_what_its_record_recommends() -> None:
    for path in CONF.glob("calibration/*.yaml"):
        if "similarity:" in (whole := path.read_text()):
            (record,) = ROOT.glob(f"reports/results/*/{whole.split()[5].rstrip(':')}.json")
            assert calibration.text(load(record)) == whole


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["study.arms.cached.threshold=[1.5]"], "strategy.threshold=1.5 is no similarity"),
        (["strategy.similarity={attn: [[0.5]], mlp: [[0.5]]}"], "gives it; choose one"),
        (["study.recommend={arms: [cached], name: a/b}"], "study.recommend.name=a/b"),
        (["study.recommend={arms: [target], name: a}"], "which no check looks at"),
    ],
)
def test_what_cannot_work_is_one_sentence_before_anything_runs(
    argv: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_argv([*STUDY, f"output={tmp_path}", *argv]) == 2
    err = capsys.readouterr().err
    assert len(err.strip().splitlines()) == 1 and words in err, err
    assert not list(tmp_path.iterdir())


def test_a_calibration_file_that_was_cut_short_is_one_sentence(
    ran: tuple[Record, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = calibration.place(*ran).read_text()
    (tmp_path / "calibration").mkdir()
    given = [*MODEL, f"hydra.searchpath=[file://{tmp_path}]", "+calibration=tiny", f"output={tmp_path}"]
    for end in (whole.index("mlp:") - 5, whole.index("mlp:") + 30, whole.rindex("- [") - 5, whole.index("digest:") + 12):
        (tmp_path / "calibration/tiny.yaml").write_text(whole[:end])
        assert run_argv([*given, "--dry-run"]) == 2, whole[:end]
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
