"""Records to report on, made by the frame itself: the headline study at six steps and a timed run, promoted."""

import shutil
from pathlib import Path

import pytest

from sdaccel.studies.promote import promote
from tests.studies.frame import run

HEADLINE = ("+exp=interval1_equivalence", "data.limit=1", "study.arms.B.first_enhance=[1,3]")
TIMED = ("strategy=hicache", "strategy.interval=3", "data.limit=1", "study.timing.repeats=2")


@pytest.fixture(scope="session")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reports folder with two records and nothing made of them yet; tests copy it."""
    runs, reports = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("promoted")
    for overrides in (HEADLINE, TIMED):
        record = run(*overrides, output=runs)
        folder = record["id"].rpartition("-")[0]
        promote(runs / folder / "record.json", samples=runs / "samples", reports=reports)
    return reports


@pytest.fixture
def reports(promoted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(promoted, tmp_path / "reports"))
