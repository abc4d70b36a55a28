"""The benchmark of speculation on a tiny pair: what it records, what the report makes of it, and what it refuses."""

from dataclasses import replace

import pytest
import torch

from sdaccel.benches import runner, speculation
from sdaccel.benches.speculation import COUPLED, Pair, Parts
from sdaccel.conditions import batches
from sdaccel.errors import BadInput
from sdaccel.generators.var.generator import Var
from sdaccel.records.read import view_of
from sdaccel.records.view import Record
from sdaccel.reporting import speculation_bound as report
from sdaccel.reporting import style
from sdaccel.strategies.speculative.expectation import expected, prices_of
from tests.conftest import CONF
from tests.strategies.speculative.pairs import DRAFT, TARGET

PLACES = ("generator", "bench.draft", "bench.checked_target", "bench.checked_draft")
SMALL = (
    "+bench=speculation",
    *(f"generator@{place}=var_tiny" for place in PLACES[1:]),
    *(f"{place}.{option}" for place in PLACES for option in ("patch_nums=[1,2,4]", "image_size=64", "vocab=32", "top_p=0")),
    "bench.draft.depth=1",
    "bench.gammas=[1,2]",
    "bench.batch_sizes=[1,2]",
    "bench.repeats=2",
    "bench.checked_images=2",
)


@pytest.fixture(scope="module", params=["eager", "fast"])
def record(request: pytest.FixtureRequest) -> Record:
    return view_of(runner.run(runner.plan([*SMALL, f"generator.engine={request.param}"], conf=CONF)))


def test_a_record_holds_the_price_of_everything_a_round_may_do(record: Record) -> None:
    assert set(record.timing.parts) == {"batch 1", "batch 2"}
    for parts in record.timing.parts.values():
        found = {name: part.p50 for name, part in parts.items()}
        assert min(found.values()) > 0
        for gamma in (1, 2):
            for acceptance in (0.0, 0.5, 1.0):  # walks every state; a part that is missing would be a KeyError
                assert expected(prices_of(found), [acceptance] * 2, gamma=gamma) > found["fixed"]
    assert record.timing.fit and list(record.timing.fit.images) == ["image 0", "image 1"]
    assert runner.verify(record, conf=CONF) == []


def test_every_arm_has_the_floor_of_its_own_work(record: Record) -> None:
    """The draft is smaller and not decoded; what speculation cannot do without depends on what is accepted."""
    for case in record.timing.cases.values():
        floors = {name: arm.floor_seconds for name, arm in case.arms.items()}
        assert floors[COUPLED] is None and floors[speculation.TARGET] == floors[speculation.UNTOUCHED]
        assert 0 < (floors[speculation.DRAFT] or 0.0) < (floors[speculation.TARGET] or 0.0)


def test_the_report_reads_it(record: Record) -> None:
    tables = (report.bound_table, report.parts_table, report.fit_table, report.memory_table)
    assert [len(table(record).rows) for table in tables] == [4, 6, 3, 0]
    with style.styled():
        panels = report.speculation_bound(record).axes
    assert [axes.get_title("left") for axes in panels] == [f"batch {size}, {report.rounds(record)} rounds" for size in (1, 2)]


def test_break_even_is_the_first_rate_that_pays() -> None:
    assert report.break_even([0, 0.5, 1], [0.7, 1.1, 0.9]) == 0.5
    assert report.break_even([0, 1], [0.7, 0.9]) is None


@pytest.mark.parametrize("engine", ["eager", "fast"])
@torch.no_grad()
def test_parts_may_be_run_in_any_order_and_leave_everything_in_place(engine: str) -> None:
    pair = Pair(replace(TARGET, engine=engine), DRAFT, torch.device("cpu"))
    assert pair.draft.vae is pair.target.vae
    parts = Parts(pair, batches([1, 2], seed=0, size=2)[0])
    calls = parts.calls(2)
    for name in [*calls, *reversed(calls), "rollback 2", "rollback 0", "draft 1-2", "verify 1-3"]:
        calls[name]()
        assert len(parts.loop.canvas.states) == parts.scales + 1, name
    assert all(said.logits.isfinite().all() for said in parts.seen)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("bench.draft.vocab=16", "bench.draft.vocab=16 and generator.vocab=32 differ"),
        ("bench.gammas=[3]", "gamma=3 is outside 1 .. 2"),
        ("bench.batch_sizes=[]", "bench.batch_sizes=.. must list positive numbers"),
        ("generator=flux_tiny", "bench=speculation needs a VAR"),
    ],
)
def test_bad_input_is_one_line(override: str, says: str) -> None:
    small = [o for o in SMALL if not (override.startswith("generator=") and o.startswith("generator."))]
    with pytest.raises(BadInput, match=says):
        runner.plan([*small, override], conf=CONF)


def test_the_pair_is_of_the_same_sizes_as_the_brief_says() -> None:
    """The command of the official sizes composes; nothing is built."""
    made = runner.plan(
        ["+bench=speculation", "generator=var_d30", "generator@bench.draft=var_d16", "generator.engine=fast"], conf=CONF
    )
    assert isinstance(made.benchmark.draft, Var) and made.benchmark.draft.depth == 16  # type: ignore[attr-defined]
    assert made.benchmark.checked_target.engine == "eager"  # type: ignore[attr-defined]  # as the target's, when it runs
