"""The benchmark of several processes: real commands, one record, and arithmetic that is checked by hand."""

from pathlib import Path

import pytest

from sdaccel.benches import runner
from sdaccel.benches.scale_out import _phases, _steady
from sdaccel.errors import BadInput
from sdaccel.records.spent import Spent
from sdaccel.records.view import Record
from tests.conftest import CONF


def parts() -> list[Spent]:
    """Of two processes; the second is warm a second later, and waits a second at the end."""
    first = Spent({"planned": 9.0, "generated": 15.0, "measured": 17.0}, 0.5, [(10, 11, 4), (11, 13, 4), (13, 15, 4)])
    second = Spent({"planned": 9.5, "generated": 15.0, "measured": 17.0}, 0.5, [(10, 12, 4), (12, 14, 4)])
    return [first, second]


def test_a_rate_is_of_what_was_made_after_all_were_warm() -> None:
    """From 12 to 15: half of the first one's second batch, its third, the other one's second."""
    assert _steady(parts()) == pytest.approx(3 / (2 + 4 + 4))


def test_phases_are_means_over_processes_and_fill_the_time_of_the_command() -> None:
    found = _phases(parts(), start=4.0, whole=14.0)
    assert found["start"] == 5.25 and found["wait for others"] == 0.5 and found["measure"] == 2 and found["finish"] == 1
    assert sum(found.values()) == pytest.approx(14.0)


def test_a_process_without_a_second_batch_has_no_rate() -> None:
    with pytest.raises(BadInput, match=r"fewer than two batches.*raise data.per_condition"):
        _steady([*parts(), Spent({"planned": 9.0, "generated": 15.0}, 0.1, [(10, 14, 4)])])


@pytest.mark.verify
def test_two_processes_make_the_images_of_one_and_the_record_says_so(tmp_path: Path) -> None:
    study = "bench.studies={var: 'generator=var_tiny +study.arms.run={} data.per_condition=4'}"
    plan = runner.plan(["+bench=scale_out", study, f"output={tmp_path}"], conf=CONF)
    record = view(runner.run(plan))
    one, two = record.timing.cases["var"].arms.values()
    assert (one.processes, two.processes) == (1, 2)
    assert one.images == two.images == one.identical == two.identical == 16
    assert two.phases.keys() == one.phases.keys()
    assert runner.verify(record, conf=CONF) == []


def view(raw: dict[str, object]) -> Record:
    from sdaccel.records.read import view_of

    return view_of(raw)
