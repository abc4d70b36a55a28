"""Who wins at which cost: from the values of pairs where there are any, from intervals elsewhere, and nobody when in doubt."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sdaccel.records.names import arm_name
from sdaccel.records.view import Arm, Each, Metric, Part, Record, Study
from sdaccel.reporting import pareto, style, tables
from sdaccel.reporting.build import read
from sdaccel.reporting.methods import methods, rivals
from sdaccel.reporting.quality_cost import prices
from sdaccel.reporting.winners import difference, student, winners
from tests.studies.frame import changed

NOISE = np.random.default_rng(0).normal(0, 0.1, 200)
"""Of a sample, whichever arm makes it."""
OWN = np.random.default_rng(1).normal(0, 0.01, 200)


def arm(template: str, macs: float, judge: float, fid: tuple[float, float], **point: Any) -> Arm:
    values = np.round(judge + NOISE + OWN * (template != "dense"), 6)
    middle, reach = fid
    return Arm(
        name=arm_name(template, point),
        template=template,
        generator=Part("flux"),
        backend=Part("dense"),
        strategy=Part("hicache" if template == "hicache" else "original"),
        point=point,
        macs=macs,
        mac_ceiling=50 / macs if macs else None,
        metrics={
            "judge.mean": Metric(float(values.mean()), 0.0, 1.0, 200),
            "fid": Metric(middle, middle - reach, middle + reach, 200),
        },
        each=lambda: Each(values={"judge.mean": values.tolist()}),
    )


def record(*, hicache: float, fewer: float, fid: float = 2.0) -> Record:
    arms = [
        arm("real", 0, 0.99, (0, 0.1)),
        arm("dense", 50, 0.95, (1, 0.2)),
        arm("few", 18, 0.9, (3, 0.5), **{"generator.num_steps": 18}),
        arm("few", 12, fewer, (3, 0.5), **{"generator.num_steps": 12}),
        arm("hicache", 18.1, 0.91, (fid, 0.2), interval=3, max_order=1),
        arm("hicache", 12.1, hicache, (fid, 0.2), interval=5, max_order=1),
        arm("hicache", 12.1, 0.3, (9, 0.2), interval=5, max_order=2),
    ]
    return Record(Study("winners", baseline="dense", figures=["pareto"]), {each.name: each for each in arms})


def row(of: Record, cost: str, metric: str) -> dict[str, Any]:
    table = winners(of)
    (found,) = [dict(zip(table.columns, r, strict=True)) for r in table.rows if r[:2] == (cost, metric)]
    return found


@pytest.mark.parametrize(
    ("hicache", "fewer", "winner"),
    [(0.88, 0.85, "hicache interval=5 max_order=1"), (0.85, 0.88, "few num_steps=12"), (0.85, 0.85, "neither")],
)
def test_the_winner_at_a_cost_is_named_whoever_it_is(hicache: float, fewer: float, winner: str) -> None:
    found = row(record(hicache=hicache, fewer=fewer), "25 % of MACs", "judge: mean")
    assert found["winner"] == winner
    assert found["better by"].estimate == pytest.approx(hicache - fewer, abs=1e-5)
    assert found["level"] == "no other", "an arm at 0.3 is told from the best"


def test_pairs_tell_apart_what_intervals_of_the_arms_cannot() -> None:
    of = record(hicache=0.88, fewer=0.87)
    gap = difference(of, "judge.mean", "hicache[interval=5,max_order=1]", "few[num_steps=12]")
    assert gap.low is not None and gap.low > 0, "the noise of a sample cancels"
    gap = difference(
        changed(of, "few[num_steps=12]", each=Each), "judge.mean", "hicache[interval=5,max_order=1]", "few[num_steps=12]"
    )
    assert gap.low is not None and gap.low < 0


@pytest.mark.parametrize(
    ("fid", "winner"), [(2.0, "hicache interval=5 max_order=1"), (2.6, "neither"), (4.0, "few num_steps=18")]
)
def test_of_distances_the_lower_wins_and_only_where_intervals_lie_apart(fid: float, winner: str) -> None:
    of = record(hicache=0.88, fewer=0.87, fid=fid)
    found = row(of, "37 % of MACs" if fid == 4.0 else "25 % of MACs", "FID")
    assert found["winner"] == winner
    assert found["better by"].estimate == pytest.approx(3 - fid)


def test_a_budget_holds_what_it_pays_for() -> None:
    of = record(hicache=0.88, fewer=0.87)
    assert {r[0] for r in winners(of).rows} == {"60 % of MACs", "37 % of MACs", "25 % of MACs"}, "nothing costs less"
    assert row(of, "37 % of MACs", "judge: mean")["best accelerated"] == "hicache interval=3 max_order=1"


def test_rivals_are_what_computes_everything_of_less() -> None:
    of = record(hicache=0.88, fewer=0.87)
    assert rivals(of) == ["few[num_steps=18]", "few[num_steps=12]"]
    found = {m.name: (m.arms, m.rival) for m in methods(of, prices(of)[0].of)}
    assert found["hicache max_order=1"] == (["hicache[interval=5,max_order=1]", "hicache[interval=3,max_order=1]"], False)
    assert found["few"] == (["few[num_steps=12]", "few[num_steps=18]"], True)
    assert set(found) == {"few", "hicache max_order=1", "hicache max_order=2"}


def test_student_covers_at_its_rate() -> None:
    dice = np.random.default_rng(2)
    held = [(found := student(dice.normal(1, 1, 20))).low <= 1 <= found.high for _ in range(2000)]  # type: ignore[operator]
    assert 0.935 < np.mean(held) < 0.965


def test_studies_that_do_not_ask_have_no_such_table() -> None:
    asking = record(hicache=0.88, fewer=0.87)
    silent = replace(asking, study=replace(asking.study, figures=[]))
    assert ["winners" in tables.tables(each, "winners") for each in (asking, silent)] == [True, False]


def test_a_method_is_a_line_over_its_arms_and_the_rival_is_black(scored: Any) -> None:
    (of,) = read(scored)
    with style.styled():
        figure = pareto.pareto(of)
    panels = figure.axes
    assert len(panels) == 4, "two metrics that every arm has, over MACs and over time"
    lines = {str(line.get_label()): line for line in panels[0].lines if not str(line.get_label()).startswith("_")}
    assert set(lines) == {"draft", "cfg", "target", "real"}
    macs = {name: found.cost for name, found in of.arms.items() if found.cost}
    assert sorted(np.asarray(lines["cfg"].get_xdata())) == sorted(v for n, v in macs.items() if n.startswith("cfg"))
    assert lines["draft"].get_color() == "black"
