"""Every committed record is read, whatever version wrote it, under the names of today."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sdaccel.generators.var.generator import Var
from sdaccel.measure.speedup import Speedup, speedup
from sdaccel.measure.timing import summary
from sdaccel.records import migrate, read, store
from sdaccel.records.names import arm_name
from sdaccel.records.timing import Benched, Quantiles, Timed
from sdaccel.records.view import Record
from sdaccel.registry import CONFIGURABLES
from tests.conftest import CONF, ROOT
from tests.studies.frame import compose

PATHS = sorted(ROOT.glob("reports/results/*/*.json"))


@pytest.fixture(scope="module")
def committed() -> list[Record]:
    return [read.load(path) for path in PATHS]


def arms(records: list[Record]) -> Iterator[tuple[str, str, bool]]:
    """(group, name, exact) of every part of every arm."""
    for arm in (arm for record in records for arm in record.arms.values()):
        yield from (
            ("generator", arm.generator.name, False),
            ("backend", arm.backend.name, False),
            ("strategy", arm.strategy.name, arm.facts.exact),
        )


def test_every_committed_record_is_read_under_names_of_today(committed: list[Record]) -> None:
    found = set(arms(committed))
    assert len(found) > 25
    for group, name, exact in found:
        cls = CONFIGURABLES[group][name]
        assert group != "strategy" or cls.declares.exact == exact  # type: ignore[attr-defined]
    for record in committed:
        assert not any(word in json.dumps(record.content) for word in ("_target_", "sdaccel."))
        assert (record.verdict == "no claim") == (not record.checks)
        assert not any("mode" in arm.point for arm in record.arms.values())
        assert all(len(arm.samples) == len(record.conditions) for arm in record.arms.values())


def test_values_are_those_of_the_file(committed: list[Record]) -> None:
    for path, record in zip(PATHS, committed, strict=True):
        raw = json.loads(path.read_bytes())
        assert (record.id, record.content_hash) == (raw["id"], raw["content_hash"])
        assert list(record.arms) == list(raw["content"]["arms"]), "arms keep their names"
        for name, arm in raw["content"]["arms"].items():
            if "format" not in raw["content"]:
                assert [sample.image for sample in record.arms[name].samples] == [s["image"] for s in arm["samples"]]
                assert record.arms[name].values == arm.get("values", {})
            assert {metric: found["estimate"] for metric, found in arm.get("metrics", {}).items()} == {
                metric: found.estimate for metric, found in record.arms[name].metrics.items()
            }
        for name, timed in (raw["timing"] or {}).get("arms", {}).items():
            assert record.timing.arms[name].seconds.p50 == timed["seconds"]["p50"]


def test_facts_that_old_records_lack_are_those_of_their_models(committed: list[Record]) -> None:
    (code,) = [record for record in committed if record.study.name == "code_speed" and record.timing.batch_size == 1]
    model = Var(depth=16)
    d16 = next(arm for arm in code.arms.values() if arm.template == "d16").generated
    assert (d16.depth, list(d16.scales), d16.decode_macs) == (16, list(model.scales), model.cost().decode_macs)


def test_random_weights_are_told(committed: list[Record]) -> None:
    said = {record.study.name: record.weights for record in committed}
    assert said["flux_speed"] == said["bench_kernels"] == "random weights"
    assert said["interval1_equivalence"] == "random weights in 188 of 228 arms"
    assert said["gamma_sweep"] == said["zoo_judges"] == ""


def test_arms_that_say_mode_are_those_of_the_command_today(committed: list[Record], tmp_path: Path) -> None:
    assert any("mode=" in name for record in committed for name in record.arms)
    (record,) = [record for record in committed if record.study.name == "nextscale_pareto"]
    command = [o for o in record.provenance.command[1:] if not o.startswith("trainer")]
    today = compose.plan([*command, f"output={tmp_path}"], conf=CONF).arms
    assert [arm.name for arm in today] == [arm_name(arm.template, arm.point) for arm in record.arms.values()]


def test_reading_leaves_the_record_as_it_was() -> None:
    raw = store.load(PATHS[0])
    before = json.dumps(raw)
    migrate.content_of(raw)
    assert json.dumps(raw) == before


def test_of_lost_rounds_the_ratio_of_medians_is_left_and_no_interval_is_invented(committed: list[Record]) -> None:
    compared: list[tuple[Quantiles, Timed | Benched]] = []
    for timing in (record.timing for record in committed):
        compared += [(timing.arms[arm.baseline].seconds, arm) for arm in timing.arms.values() if arm.baseline]
        compared += [(next(iter(c.arms.values())).seconds, arm) for c in timing.cases.values() for arm in c.arms.values()]
    lost = [(base, arm) for base, arm in compared if not arm.rounds]
    assert len(lost) > 50
    for base, arm in lost:
        assert arm.speedup and arm.speedup.estimate == base.p50 / arm.seconds.p50
        assert (arm.speedup.low, arm.speedup.high, arm.speedup.n) == (None, None, arm.seconds.n)
        assert arm.speedup.note == ("" if base is arm.seconds else migrate.LOST)


def test_an_old_benchmark_draws_no_floor_of_other_work(committed: list[Record]) -> None:
    for record in (record for record in committed if record.study.name == "bench_speculation"):
        for case in record.timing.cases.values():
            bare = {name for name, arm in case.arms.items() if arm.floor_seconds is None and arm.of_floor is None}
            assert bare == set(migrate.FLOORLESS)


def test_rounds_that_were_kept_beside_other_quantiles_give_the_speed_up_of_today() -> None:
    quantiles = {"p10": 1.9, "p50": 2.0, "p90": 2.1, "n": 3}
    arms = {
        name: {"seconds": summary(rounds), "rounds": rounds, "baseline": "slow", "speedup": quantiles}
        for name, rounds in {"slow": [2.0, 2.1, 2.2], "quick": [1.0, 1.1, 1.0]}.items()
    }
    found = migrate.timing_of({"timing": {"arms": arms}})["arms"]
    assert Speedup(**found["quick"]["speedup"]) == speedup(arms["slow"]["rounds"], arms["quick"]["rounds"])  # type: ignore[arg-type]
