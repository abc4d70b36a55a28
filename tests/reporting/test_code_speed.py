"""CoDe beside its published ratios, on a timed run of a small pair."""

from dataclasses import replace
from typing import Any

import pytest

from sdaccel.records.timing import Timing
from sdaccel.records.view import Record
from sdaccel.reporting import style
from sdaccel.reporting.ceilings import DECODE_IN, DECODE_OUT
from sdaccel.reporting.code_speed import PUBLISHED, PUBLISHED_AS, code_speed, code_speed_table
from sdaccel.reporting.tables import tables
from tests.studies import frame

SMALL = (
    "generator=var_tiny",
    "generator.patch_nums=[1,2,3,4,5,6,8,8]",
    "data.limit=1",
    "strategy=code",
    "generator@strategy.refiner=var_tiny",
    "strategy.refiner.patch_nums=[1,2,3,4,5,6,8,8]",
    "strategy.refiner.depth=1",
    "+study.arms={d30: {strategy: original}, d16: {strategy: original, generator.depth: 1}, code: {draft_scales: [6, 7]}}",
    "study.baseline=d30",
    "study.timing={repeats: 1, warmup: 0}",
    "study.figures=[code_speed]",
)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    return frame.run(*SMALL, output=tmp_path_factory.mktemp("code"))


def test_every_arm_stands_beside_what_was_published_at_its_batch_size(record: Record) -> None:
    table = code_speed_table(record)
    rows: dict[Any, dict[str, Any]] = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    rows = {name.removesuffix(" (random weights)"): row for name, row in rows.items()}
    assert list(rows) == ["d30", "d16", "code draft_scales=6", "code draft_scales=7"]
    published = rows["code draft_scales=6"][PUBLISHED_AS]
    assert published == PUBLISHED[1]["N=6"] and rows["code draft_scales=7"][PUBLISHED_AS] is None
    measured = record.timing.arms["code[draft_scales=6]"].speedup
    assert measured and rows["code draft_scales=6"]["of published"] == pytest.approx(measured.estimate / 1.6)
    whole, bare = (rows["d16"][name] for name in (DECODE_IN, DECODE_OUT))
    assert 1 < whole < bare, "the decoder is the same for all and hides what the models save"


def test_the_figure_draws_a_published_ratio_only_where_there_is_one(record: Record) -> None:
    with style.styled():
        axes = code_speed(record).axes[0]
    assert [line.get_marker() for line in axes.lines].count("s") == 1
    assert [line.get_marker() for line in axes.lines].count("D") == 4


def test_who_did_not_ask_or_did_not_time_gets_nothing(record: Record) -> None:
    others = (replace(record, timing=Timing()), replace(record, study=replace(record.study, figures=[])))
    assert ["code_speed" in tables(each) for each in (record, *others)] == [True, False, False]
