"""Figures and tables of speculation, on one small study that watches, speculates and hands over; its draft is the target."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from sdaccel.records.view import Arm, Each, Metric, Record
from sdaccel.reporting import gamma_sweep as sweep
from sdaccel.reporting import style
from sdaccel.reporting.acceptance import (
    COUPLED,
    REJECTION,
    acceptance_profile,
    acceptance_table,
    by_scale,
    calls,
    calls_table,
    counted,
    profiles,
)
from sdaccel.reporting.tables import tables
from sdaccel.reporting.token_equality import differing, token_equality
from tests.studies import frame
from tests.studies.frame import changed

ARMS = (
    "{target: {strategy: original}, smaller: {strategy: original, generator.depth: 1}, "
    "profile: {strategy: speculative_profile, draft: [var_tiny]}, "
    "speculative: {strategy: [speculative_coupled, speculative_top1], gamma: [1, 3], draft: [var_tiny]}, "
    "handover: {strategy: handover, entry_num: [1, 3], draft: [var_tiny]}}"
)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    return frame.run(
        "generator=var_tiny",
        "generator.dtype=float64",
        "data.limit=3",
        "data.batch_size=3",
        f"+study.arms={ARMS}",
        "study.baseline=target",
        "study.checks=[{equal: [target, profile]}]",
        "study.keep=[tokens]",
        "study.timing.repeats=0",
        "study.figures=[gamma_sweep]",
        output=tmp_path_factory.mktemp("speculation"),
    )


def scored(record: Record, **fid: float) -> Record:
    """With a distance by strategy or template."""

    def with_metrics(arm: Arm) -> Arm:
        found = Metric(fid.get(arm.template, fid.get(arm.strategy.name, 9.0)), 1.0, 10.0, 3)
        return replace(arm, metrics={"fid": found, "judge.class": found, "kid": Metric(None, n=3, note="few")})

    return replace(record, arms={name: with_metrics(arm) for name, arm in record.arms.items()})


def test_the_profile_foretells_what_was_counted(record: Record) -> None:
    assert record.verdict == "pass"
    found = by_scale(profiles(record)["var_tiny"])
    assert (found[COUPLED] == 1).all() and (found["tv"] < 1e-6).all()
    for gamma, ran in counted(record, COUPLED)["var_tiny"].items():
        assert np.array_equal(calls(COUPLED, found[COUPLED], gamma=gamma), ran)
        assert ran.tolist() == [{1: 4, 3: 2}[gamma]] * 3
    assert len(acceptance_table(record).rows) == 6
    rows: dict[Any, Any] = {(row[1], row[2]): row for row in calls_table(record).rows}
    assert rows[COUPLED, 3][3].estimate == rows[COUPLED, 3][4].estimate == 2
    assert rows[COUPLED, 3][5] == 7 / 2 - 1
    assert rows[REJECTION, 3][4] is None, "no arm ran it"
    with style.styled():
        assert len(acceptance_profile(record).axes) == 6


def test_the_best_setting_keeps_to_the_budget_and_stands_beside_its_handover(record: Record) -> None:
    found = scored(record, target=1.0, speculative_coupled=4.0, speculative_top1=3.0)
    assert sweep.ranked_by(found) == "fid"
    top = sweep.best(found)
    assert top is not None and top.rule == COUPLED and top.exact and top.calls <= sweep.BUDGET
    other = sweep.beside(found, top)
    assert other is not None and other.rule == "handover"
    assert abs(other.kept - top.kept) == min(abs(entry - top.kept) for entry in (1, 3))
    marks = [row[-1] for row in sweep.gamma_table(found).rows]
    assert marks.count("best within 5 calls") == marks.count("as many draft scales as the best") == 1
    assert sweep.gamma_table(found).rows[-1][1] == "draft alone" and sweep.smaller(found) == ["smaller"]
    with style.styled():
        assert "within the promised 5" in sweep.gamma_sweep(found).axes[2].get_title("left")


def test_when_no_setting_keeps_to_the_budget_the_figure_says_so(record: Record) -> None:
    found = scored(record)
    for name, arm in found.arms.items():
        if "drafted" in arm.samples[0].stats:
            busy = [replace(sample, stats={**sample.stats, "target_calls": 7}) for sample in arm.samples]
            found = changed(found, name, each=partial(Each, busy))
    assert sweep.best(found) is None
    assert all(not row[-1] for row in sweep.gamma_table(found).rows)
    with style.styled():
        title = sweep.gamma_sweep(found).axes[2].get_title("left")
    assert "beyond the promised 5; no rule keeps to them" in title


def test_who_did_not_watch_or_measure_gets_no_table(record: Record) -> None:
    watched = {name for name, arm in record.arms.items() if arm.template == "profile"}
    others = {name: arm for name, arm in record.arms.items() if name not in watched}
    less = replace(record, arms=others, checks=[check for check in record.checks if check.arm not in watched])
    tables_of = [set(tables(each)) for each in (record, less, scored(record))]
    assert ["gamma_sweep" in names for names in tables_of] == [False, False, True]
    assert ["acceptance" in names for names in tables_of] == [True, False, True]


def test_equality_is_told_by_scale_and_a_difference_shows_where_it_is(record: Record) -> None:
    assert {name: share.tolist() for name, share in differing(record).items()} == {"profile[draft=var_tiny]": [0.0] * 7}
    check = record.checks[0]
    series = [5.0 if i == 2 else v for i, v in enumerate(check.series or ())]  # one of the four tokens of scale 1
    off = replace(record, checks=[replace(check, series=series)])
    assert differing(off)["profile[draft=var_tiny]"].tolist() == [0, 0.25, 0, 0, 0, 0, 0]
    with style.styled():
        assert [text.get_text() for text in token_equality(off).axes[0].texts].count("0.25") == 1
