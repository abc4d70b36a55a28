"""Records to report on, made by the frame itself: the headline study at six steps and a timed run, promoted."""

import shutil
from pathlib import Path

import pytest

from sdaccel.records.promote import promote
from tests.metrics.tiny import world_clip
from tests.studies.frame import INTERVAL1, run

HEADLINE = (*INTERVAL1, "data.limit=1", "study.arms.B.first_enhance=[1,3]")
TIMED = ("strategy=hicache", "strategy.interval=3", "data.limit=1", "study.timing.repeats=2")
SCORED = (
    "generator=var_tiny",
    "generator.num_classes=24",
    "generator.image_size=64",
    "generator.patch_nums=[1,2,4]",
    "data=world_classes",
    "data.limit=24",
    "data.batch_size=8",
    "+study.arms.real={generator: world_classes}",
    "+study.arms.target={strategy: original}",
    "+study.arms.draft={generator.depth: 1}",
    "+study.arms.cfg={generator.cfg: [0, 4]}",
    "study.baseline=target",
    "study.checks=[{at_least: [draft], metric: psnr, bound: 1}, {disjoint: [real, target], metric: fid}]",
    "study.timing={repeats: 1, warmup: 0}",
    "metrics=world",
)


@pytest.fixture(scope="session")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reports folder with two records and nothing made of them yet; tests copy it."""
    runs, reports = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("promoted")
    for overrides in (HEADLINE, TIMED):
        record = run(*overrides, output=runs)
        folder = record.id.rpartition("-")[0]
        promote(runs / folder / "record.json", samples=runs / "samples", reports=reports)
    return reports


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="session")
def measured(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of a small study of quality."""
    runs = tmp_path_factory.mktemp("scored")
    record = run(*SCORED, f"metrics.clip={clip}", output=runs)
    return runs / record.id.rpartition("-")[0]


@pytest.fixture(scope="session")
def scored(measured: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reports folder with its record."""
    reports = tmp_path_factory.mktemp("scored_reports")
    promote(measured / "record.json", samples=measured.parent / "samples", reports=reports)
    return reports


@pytest.fixture
def reports(promoted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(promoted, tmp_path / "reports"))
