"""What documents 000 and 001 say of the stage cache, held against stages, prices and measurements."""

from dataclasses import replace
from typing import Any

import pytest

from sdaccel.measure.speedup import Speedup
from sdaccel.records.outline import outline_of
from sdaccel.records.timing import Quantiles, Timed, Timing
from sdaccel.records.view import Arm, Each, Metric, Part, Record, Study
from sdaccel.reporting.mapping_update import mapping, of_mappings
from sdaccel.reporting.stage_cache_claims import EXPECTED, bound, expecting, slot_bytes, stage_cache_claims
from sdaccel.strategies.stage_cache.maps import MAPS, V2, StageMap

NAMES = list(EXPECTED)


def arm(name: str, generator: str, judged: list[float], **options: Any) -> Arm:
    return Arm(
        name=name,
        template=name,
        generator=Part(generator),
        backend=Part("dense"),
        strategy=Part("stage_cache" if options else "original", options),
        macs=100.0,
        metrics={"judge.mean": Metric(sum(judged) / len(judged), n=len(judged))},
        each=lambda: Each(values={"judge.mean": judged}),
    )


def record(generator: str, speedups: dict[str, float], lost: float = 0.0, memory: float = 1.0) -> Record:
    """Every preset with a speed-up, a quality and a share of memory of its own, beside the target."""
    judged = [0.9, 1.0] * 200
    arms = {"target": arm("target", generator, judged)}
    arms |= {n: arm(n, generator, [v - lost - 1e-4 * i for i, v in enumerate(judged[:2])] * 200, stages_of=n) for n in speedups}
    timed = {
        name: Timed(
            Quantiles(1, 1, 1), "target", Speedup(x, 0.99 * x, 1.01 * x), memory_bytes=round(1e6 * (memory if x != 1 else 1))
        )
        for name, x in ({"target": 1.0} | speedups).items()
    }
    return Record(Study("presets", baseline="target"), arms, timing=Timing(1, timed))


def verdicts(of: Record, promise: str) -> dict[str, tuple[str, str]]:
    """Preset -> measured, and by formula."""
    rows = [dict(zip(stage_cache_claims(of).columns, row, strict=True)) for row in stage_cache_claims(of).rows]
    return {str(r["preset"]): (str(r["verdict"]), str(r["verdict there"])) for r in rows if r["promise"] == promise}


def test_a_speed_up_holds_where_all_of_its_interval_does_and_hart_cannot_have_any() -> None:
    measured = dict(zip(NAMES, (1.3, 1.5, 1.4, 3.5), strict=True))
    words = ["holds", "open", "refuted", "holds"]
    assert list(verdicts(record("hart", measured), "speed-up").values()) == [(word, "refuted") for word in words]
    assert list(verdicts(record("var", measured), "speed-up").values()) == [(word, "open") for word in words]


def test_memory_and_quality_are_held_to_the_documents_limits() -> None:
    some = dict.fromkeys(NAMES, 1.5)
    assert [v for v, _ in verdicts(record("var", some, memory=1.12), "memory").values()] == ["refuted"] * 2 + ["holds"] * 2
    assert [v for v, _ in verdicts(record("var", some, lost=0.03), "quality").values()] == ["refuted"] * 2 + ["holds"] * 2
    assert {there for _, there in verdicts(record("hart", some), "memory").values()} == {"holds"}


def test_nothing_measured_is_open_and_no_preset_makes_no_table() -> None:
    found = replace(record("var", dict.fromkeys(NAMES, 1.5)), timing=Timing(1, {}))
    assert {v for v, _ in verdicts(found, "speed-up").values()} == {"open"}
    assert expecting(outline_of(found)) is None
    assert "stage_cache_original-cache" in str(expecting(outline_of(record("var", {}))))


def test_ceilings_at_full_size_are_those_of_the_brief() -> None:
    assert all(bound("hart", name).speedup <= 1.07 for name in EXPECTED)
    assert [bound("hart", f"late-{n}").speedup for n in (1, 2, 3)] == pytest.approx([1.7, 2.4, 2.9], rel=0.02)
    assert [bound("var", name).speedup for name in EXPECTED] == pytest.approx([1.5, 2.2, 3.5, 4.1], rel=0.03)


def test_slots_at_full_size_are_those_of_the_brief() -> None:
    """MB of the stages 1296 and 2304: what the shorter chain lacks of the longer one."""
    held = [slot_bytes("hart", f"late-{n}") / 1e6 for n in (1, 2)]
    assert (held[0], held[1] - held[0]) == pytest.approx((679, 382), abs=1)


def test_document_000_is_right_but_for_four_things() -> None:
    rows = {str(row[0]): row for row in mapping(record("hart", {})).rows}
    wrong = {name for name, row in rows.items() if row[3] == "refuted"}
    assert wrong == {
        "v2: number of stages",
        "ultra-fast: new skip / cache stages",
        "old configurations adapt to the nearest stage",
        "command line: 441 729 1296 2304 4096 / 144 256 441 729",
    }
    assert str(rows["ultra-fast: new skip / cache stages"][4]).startswith("Added by hand: 16 256 441.")
    assert "add 1296 there" in str(rows["command line: 441 729 1296 2304 4096 / 144 256 441 729"][4])


def test_a_map_without_its_hole_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MAPS, "v2", StageMap("v2", {tokens: k for k, tokens in enumerate(V2)}))
    wrong = {str(row[0]) for row in mapping(record("hart", {})).rows if row[3] == "refuted"}
    assert {"v2: indices", "v2: length of arrays", "stages that keep their index"} <= wrong


def test_the_table_of_mappings_needs_one() -> None:
    other = record("hart", {})
    assert "mapping: v1" in str(of_mappings(outline_of(other)))
    named = replace(other, arms={**other.arms, "old": arm("old", "hart", [1.0], mapping="v1")})
    assert of_mappings(outline_of(named)) is None
