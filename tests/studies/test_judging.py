"""Records are judged again from what they hold: by the checks of today, beside the verdicts of then."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from sdaccel.cli.judge import main
from sdaccel.errors import BadInput
from sdaccel.metrics.intervals import mean_interval
from sdaccel.records import judged, read
from sdaccel.records.view import Record
from sdaccel.reporting import gallery, tables
from sdaccel.studies import judging
from sdaccel.studies.checks.base import parse
from tests.conftest import CONF, ROOT
from tests.studies.frame import run

PATHS = sorted(ROOT.glob("reports/results/stack_diagnostics/*.json"))
H200 = next(path for path in PATHS if "744f24d4d9f2" in path.name)


@pytest.fixture(scope="module")
def record() -> Record:
    return read.load(H200)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_committed_judgement_is_what_the_checks_of_today_say(path: Path, tmp_path: Path) -> None:
    made = judged.write(judging.again(read.load(path), conf=CONF), tmp_path / path.name)
    assert yaml.safe_load(made.read_text()) == yaml.safe_load(judged.beside(path).read_text())


def test_the_stack_is_inferior_and_its_controls_are_caught(record: Record) -> None:
    """What `no_worse` passed: by pairs of samples the stack loses more than would not matter."""
    assert record.verdict == "pass" and record.again is not None and record.again.verdict == "fail"
    (clip,) = [v for v in record.again.checks if (v.check, v.arm) == ("non_inferior clip_score", "stack")]
    a, b = (np.array(record.arms[name].values["clip_score"], dtype=float) for name in ("dense_n5", "stack"))
    truth = mean_interval(a - b)
    assert clip.measured == pytest.approx(truth.estimate, rel=1e-5) and clip.passed is False
    assert clip.evidence and (clip.evidence.low, clip.evidence.high) == pytest.approx((truth.low, truth.high), rel=0.05)
    assert [v.passed for v in record.again.checks if v.control] == [False] * 3
    assert all(v.evidence is None and v.check.startswith("no_worse") for v in record.checks), "they stay what they were"


def test_reports_show_both(record: Record) -> None:
    assert {"FAIL", "pass", "caught"} == {row[-1] for row in tables.judged_again(record).rows}
    page = gallery.page([(record, [])], reports=ROOT / "reports")
    assert "Judged again by today's checks" in page and "stack loses 0.2824" in page
    other = read.load(next(ROOT.glob("reports/results/flux_baseline/*.json")))
    assert not tables.judged_again(other).rows and "Judged again" not in gallery.page([(other, [])], reports=ROOT / "reports")


def test_the_command_writes_it_beside_the_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "results" / "stack_diagnostics"
    folder.mkdir(parents=True)
    small = next(path for path in PATHS if "84c0dc605c62" in path.name)
    shutil.copy(small, folder)
    assert main(["stack_diagnostics-84c0", "--reports", str(tmp_path)]) == 0, "open is no failure"
    out = capsys.readouterr().out.strip().splitlines()
    assert out[-1] == "verdict: OPEN: 3 of 6 checks are not decided by these samples, and nothing failed"
    assert judged.beside(folder / small.name).is_file()
    assert main(["nothing", "--reports", str(tmp_path)]) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("record: '0'\nchecks: []\nfails: {}\nverdicts: []\nfailures: []\nverdict: pass", "another record"),
        ("record: [", "is no judgement"),
        ("[]", "is no judgement"),
        ("record: x", "is no judgement"),
    ],
)
def test_a_judgement_of_another_record_is_refused(text: str, words: str, tmp_path: Path) -> None:
    path = Path(shutil.copy(PATHS[-1], tmp_path))
    judged.beside(path).write_text(text)
    with pytest.raises(BadInput, match=words):
        read.load(path)


def test_a_record_of_today_has_the_verdicts_that_its_values_give(tmp_path: Path) -> None:
    """Digit for digit: what is judged at a run is what the record holds."""
    made = run(
        "generator=world_classes",
        "data=world_classes",
        "data.limit=24",
        "metrics=world",
        "+study.arms={real: {}, again: {generator.split: val}}",
        "study.baseline=real",
        "study.timing.repeats=0",
        "study.checks=[{at_least: [real], metric: judge.mean, bound: 0.5}, "
        "{equivalent: [real, again], metric: kid, margin: 2}, "
        "{non_inferior: [real, again], metric: judge.mean, margin: 0.1}, {ratio: [real, again], metric: kid, at_most: 9}]",
        output=tmp_path,
    )
    checks = [parse(spec) for spec in made.content["config"]["study"]["checks"]]
    assert judging.verdicts_of(made, checks) == list(made.checks) and len(made.checks) == 4


def test_checks_of_samples_keep_the_verdicts_of_the_record() -> None:
    found = read.load(next(ROOT.glob("reports/results/equivalence_nextscale/*.json")))
    checks = [parse(spec) for spec in found.content["config"]["study"]["checks"]]
    assert sorted(map(str, judging.verdicts_of(found, checks))) == sorted(map(str, found.checks))
