"""One small real record with metrics, timing, checks and kept arrays, as a run leaves it."""

from pathlib import Path

import pytest

from tests.metrics.tiny import world_clip
from tests.studies.frame import run

STUDY = (
    "generator=var_tiny",
    "generator.num_classes=24",
    "generator.image_size=64",
    "generator.patch_nums=[1,2,4]",
    "data=world_classes",
    "data.limit=2",
    "+study.arms.target={strategy: original}",
    "+study.arms.skip={strategy: scale_skipping, last: [0, 1]}",
    "study.baseline=target",
    "study.checks=[{equal: [target, skip]}]",
    "study.keep=[tokens]",
    "study.timing={repeats: 2, warmup: 0}",
    "metrics=world",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where its record.json lies."""
    output = tmp_path_factory.mktemp("records")
    run(*STUDY, f"metrics.clip={world_clip(tmp_path_factory.mktemp('clip'))}", output=output)
    (path,) = output.glob("*/record.json")
    return path.parent
