"""A study at 256 px: pictures without their finest detail pass at 64 px, and fail by crops and in pairs."""

import pytest

from sdaccel.records.view import Record
from tests.studies.frame import run

STUDY = (
    "generator=world_captions",
    "generator.image_size=256",
    "data=world_captions",
    "data.limit=16",
    "data.batch_size=8",
    "metrics=world",
    "metrics.crops=true",
    "study.timing.repeats=0",
    "+study.arms.real={}",
    "+study.arms.again={generator.split: val}",
    "+study.arms.blurred={generator.blur: 2}",
    "study.baseline=real",
)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    return run(*STUDY, output=tmp_path_factory.mktemp("crops"))
