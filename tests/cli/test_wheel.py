"""The wheel, built from the source distribution, does in an empty folder what the checkout does."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sdaccel.records.read import load
from tests.conftest import ROOT

SOURCES = ("sdaccel", "conf", "pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE")
SAMPLE = ("generator=var_tiny", "data.limit=1", "study.timing.repeats=0")
TRIAD = ("+exp=interval1_equivalence", "data.limit=1")
SDIST = "from setuptools.build_meta import build_sdist; build_sdist('dist')"


def done(*command: str | Path, cwd: Path, path: Path | None = None) -> str:
    """What it says."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"PYTHONPATH": str(path)} if path else {}
    run = subprocess.run(list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel is installed in, of a copy of the sources: a build leaves files behind."""
    folder = tmp_path_factory.mktemp("wheel")
    source, pip = folder / "source", (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    source.mkdir()
    for name in SOURCES:
        origin, no_bytecode = ROOT / name, shutil.ignore_patterns("__pycache__")
        _ = shutil.copytree(origin, source / name, ignore=no_bytecode) if origin.is_dir() else shutil.copy(origin, source)
    done(sys.executable, "-c", SDIST, cwd=source)
    (sdist,) = source.glob("dist/*.tar.gz")
    done(*pip, "wheel", "--no-deps", "--no-build-isolation", sdist, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    done(*pip, "install", "--no-deps", "--target", folder / "site", wheel, cwd=folder)
    return folder / "site"


@pytest.mark.verify
def test_it_holds_every_file_of_the_package_and_every_configuration(installed: Path) -> None:
    def files(folder: Path) -> set[Path]:
        return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts}

    package = installed / "sdaccel"
    assert files(package / "conf") == files(ROOT / "conf")
    assert {path for path in files(package) if path.parts[0] != "conf"} == files(ROOT / "sdaccel")
    assert {path.name for path in installed.iterdir() if path.suffix != ".dist-info"} == {"sdaccel", "bin"}


@pytest.mark.verify
@pytest.mark.parametrize("study", [SAMPLE, TRIAD])
def test_its_run_is_the_checkouts(study: tuple[str, ...], installed: Path, tmp_path: Path) -> None:
    empty, beside = tmp_path / "empty", tmp_path / "beside"
    empty.mkdir()
    beside.mkdir()
    said = done(installed / "bin" / "sdaccel", "run", *study, cwd=empty, path=installed)
    done(sys.executable, ROOT / "experiments" / "run.py", *study, cwd=beside, path=ROOT)
    ours, theirs = (load(next(folder.glob("runs/*/record.json"))) for folder in (empty, beside))
    assert ours.content_hash == theirs.content_hash and f"content {ours.content_hash[:12]}" in said
    assert ours.folders == theirs.folders, "the code that decides samples has one fingerprint"
    assert ours.provenance.code == theirs.provenance.code and ours.provenance.git is None


@pytest.mark.verify
def test_its_records_are_promoted_reported_and_verified(installed: Path, tmp_path: Path) -> None:
    command, empty = installed / "bin" / "sdaccel", tmp_path
    done(command, "run", *SAMPLE, cwd=empty, path=installed)
    ours = load(next(empty.glob("runs/*/record.json")))
    done(command, "promote", "sample", cwd=empty, path=installed)
    done(command, "report", cwd=empty, path=installed)
    assert ours.id in (empty / "reports" / "index.html").read_text()
    assert f"{ours.id}: verified" in done(installed / "bin" / "verify-record", "sample", cwd=empty, path=installed)


@pytest.mark.verify
def test_training_does_not_write_into_the_installed_package(installed: Path, tmp_path: Path) -> None:
    command = (installed / "bin" / "sdaccel", "zoo", "model=judge_mini", "device=cpu")
    run = subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(installed)}, capture_output=True, text=True)
    assert run.returncode == 2 and "write weights=FOLDER" in run.stderr and len(run.stderr.splitlines()) == 1
