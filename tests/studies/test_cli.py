"""The command line as a user meets it."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sdaccel.records.promote import promote
from sdaccel.records.read import load
from sdaccel.records.view import Each
from tests import fresh
from tests.conftest import ROOT
from tests.studies.frame import SMALL, changed, run, run_argv, verified


def _script(name: str, *argv: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return fresh.python(str(ROOT / "experiments" / name), *argv, cwd=ROOT, **environment)


@pytest.mark.parametrize("study", ["interval1_equivalence", "gamma_sweep"])
def test_a_dry_run_describes_a_study_and_writes_nothing(study: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_argv([f"+exp={study}", "--dry-run", f"output={tmp_path}"]) == 0
    out = capsys.readouterr().out
    assert "images to generate" in out and "memory" in out
    assert not list(tmp_path.iterdir())


def test_a_multirun_is_described_job_by_job(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_argv(["-m", "strategy=taylor,hicache", "--dry-run", f"output={tmp_path}"]) == 0
    assert capsys.readouterr().out.count("images to generate") == 2


def test_multirun_runs_every_job(tmp_path: Path) -> None:
    done = _script("run.py", "-m", "strategy=hicache", "strategy.interval=2,3", *SMALL, "data.limit=1", f"output={tmp_path}")
    assert done.returncode == 0, done.stderr
    made = [load(path) for path in tmp_path.glob("*/record.json")]
    assert {record.arms["run"].strategy.options["interval"] for record in made} == {2, 3}
    assert done.stdout.count("verdict: NO CLAIM (random weights)") == 2, "without checks nothing passes"
    (page,) = tmp_path.glob("compare-flux-hicache-*/index.html")
    text = page.read_text()
    assert f"page {page}" in done.stdout and "interval=2" in text and "interval=3" in text
    assert all(f'href="../{path.parent.name}/index.html"' in text for path in tmp_path.glob("flux-*/index.html"))


def test_help_names_every_choice(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_argv(["--help"]) == 0
    out = capsys.readouterr().out
    assert "interval1_equivalence" in out
    (strategies,) = [line.split(": ")[1].split(", ") for line in out.splitlines() if line.startswith("strategy: ")]
    assert {"hicache", "original", "taylor"} <= set(strategies)


def test_cfg_shows_every_default(capfd: pytest.CaptureFixture[str]) -> None:
    done = _script("run.py", "--cfg", "job", "strategy=hicache")
    assert done.returncode == 0, done.stderr
    assert "hicache_scale: 0.5" in done.stdout


def test_wandb_is_imported_only_when_asked_for(tmp_path: Path) -> None:
    code = (
        "import sys; from tests.studies.frame import SMALL, run_argv; "
        f"code = run_argv([*SMALL, 'data.limit=1', 'output={tmp_path}']); "
        "assert 'wandb' not in sys.modules, 'wandb was imported'; sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_the_package_is_cheap() -> None:
    code = "import sys, sdaccel; assert not {'torch', 'hydra', 'pytorch_lightning', 'diffusers'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_bad_input_is_told_before_heavy_libraries_load() -> None:
    code = (
        "import sys; from sdaccel.cli.run import main; assert main(['strategy=none_such']) == 2; "
        "assert not {'pytorch_lightning', 'diffusers', 'wandb', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_promoted_record_verifies_and_a_forged_one_does_not(tmp_path: Path) -> None:
    fresh = run("strategy=hicache", "data.per_condition=1", "data.limit=3", output=tmp_path)
    (path,) = tmp_path.glob("*/record.json")
    target = promote(path, samples=tmp_path / "samples", reports=tmp_path / "reports")
    record = load(target)
    assert record == fresh and record.arms["run"].samples == fresh.arms["run"].samples
    assert len(list((tmp_path / "reports" / "thumbnails").iterdir())) == 6
    assert verified(record) == []
    honest, forged = record.arms["run"].samples, replace(record.arms["run"].samples[1], image="0" * 64)
    (difference,) = verified(changed(record, "run", each=lambda: Each([honest[0], forged, honest[2]])))
    assert "run, sample 1: image" in difference


def test_promote_names_what_it_cannot_find(tmp_path: Path) -> None:
    done = _script("promote.py", "no_such_record", "--runs", str(tmp_path))
    assert done.returncode == 2
    assert "no_such_record matches nothing" in done.stderr
