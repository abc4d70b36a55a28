"""What document 001 expects of its presets, a row per preset and promise: measured, and by formula at the published size.

Its table has five lines; that no cache is the baseline, which is the first of them, a check of the study says.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from sdaccel.generators.base import Cost
from sdaccel.generators.hart.generator import Hart
from sdaccel.generators.var.generator import Var
from sdaccel.records.outline import Outline
from sdaccel.records.view import Record
from sdaccel.reporting.ceilings import with_decoder
from sdaccel.reporting.cells import Cell, Range, Table, digits
from sdaccel.reporting.promised import HOLDS, OPEN, REFUTED, judged, speedup
from sdaccel.reporting.registry import table
from sdaccel.reporting.winners import difference
from sdaccel.strategies.stage_cache.strategy import StageCache

COLUMNS = (
    "preset",
    "promise",
    "document 001 says",
    "measured",
    "verdict",
    "at full size, by formula",
    "verdict there",
    "reason",
)


@dataclass(frozen=True)
class Expected:
    """A line of its table."""

    fastest: tuple[float, float]
    memory: float
    """More than the baseline's, as a share."""
    quality: str


EXPECTED = {
    "conservative-cache": Expected((1.2, 1.5), 0.05, "excellent"),
    "original-cache": Expected((1.5, 2.0), 0.10, "very good"),
    "aggressive-cache": Expected((2.0, 3.0), 0.15, "good"),
    "ultra-fast": Expected((3.0, 4.0), 0.20, "acceptable"),
}
LOSS = {"excellent": 0.01, "very good": 0.02, "good": 0.05, "acceptable": 0.1}
"""Our reading of its words: how much of the judge's mean may be lost."""
JUDGE = "judge.mean"


@dataclass(frozen=True)
class Bound:
    """What a preset can reach at most, every sublayer that may be reused being reused."""

    size: str
    speedup: float
    memory: float
    """More than the baseline's, one picture at a time, as a share."""


def bound(generator: str, preset: str) -> Bound:
    full = official(generator)
    own = StageCache(stages_of=preset, force=True).foreseen(full.cost, {}).macs
    whole, own = (macs + full.cost.decode_macs for macs in (sum(full.cost.macs), own))
    return Bound(full.size, whole / own, slot_bytes(generator, preset) / (full.cost.weight_bytes + full.cost.state_bytes))


def slot_bytes(generator: str, preset: str) -> int:
    """All slots at the end of one picture of the published model: both branches, two bytes a number."""
    return StageCache(stages_of=preset, force=True).state_bytes(official(generator).cost, 2)


@dataclass(frozen=True)
class Official:
    """The published model of a kind, at half precision."""

    size: str
    cost: Cost


@cache
def official(generator: str) -> Official:
    hart, var = Hart(dtype="float16"), Var(depth=30, dtype="float16")
    return Official("0.7b", hart.cost()) if generator == "hart" else Official("d30", var.cost())


def expecting(outline: Outline) -> str | None:
    if any(arm.strategy.options.get("stages_of") in EXPECTED and JUDGE in arm.metrics for arm in outline.honest):
        return None
    return "a preset that document 001 expects something of, such as stage_cache_original-cache, with metrics=world."


@table(name="stage_cache_claims", place=102, needs=expecting)
def stage_cache_claims(record: Record) -> Table:
    """Speed-up, memory and quality of every preset that the document has a line for."""
    rows = [row for name in record.arms for row in _rows(record, name)]
    return Table(COLUMNS, rows, missing="not measured")


def _rows(record: Record, name: str) -> Iterator[tuple[Cell, ...]]:
    arm, base = record.arms[name], record.study.baseline
    preset = arm.strategy.options.get("stages_of")
    if arm.control or preset not in EXPECTED or base not in record.arms:
        return
    expected, limit = EXPECTED[preset], bound(arm.generator.name, preset)
    least, most = expected.fastest
    ceiling = with_decoder(arm, record.arms[base])
    found = speedup(record, name)
    yield (
        *(preset, "speed-up", f"{least} to {most}", found, judged(found, at_least=least)),
        *(f"at most {digits(limit.speedup)} at {limit.size}", REFUTED if limit.speedup < least else OPEN),
        f"Its multiply-accumulates allow {digits(ceiling)} here, decode in." if ceiling else "",
    )
    memory = _memory(record, name)
    yield (
        *(preset, "memory", f"{expected.memory:.0%} more", memory, judged(memory, at_most=1 + expected.memory)),
        *(f"{limit.memory:.1%} more at {limit.size}", HOLDS if limit.memory <= expected.memory else REFUTED),
        "Of the GPU, weights included; by formula what its slots hold, one picture at a time.",
    )
    lost = difference(record, JUDGE, name, base) if arm.estimate(JUDGE) is not None else None
    loss = LOSS[expected.quality]
    yield (
        *(preset, "quality", expected.quality, lost, judged(lost, at_least=-loss)),
        *("none by formula", OPEN),
        f"The judge's mean beside the baseline's; the word is read as at most {loss} lost.",
    )


def _memory(record: Record, name: str) -> Range | None:
    """Beside the baseline's; a CPU counts none."""
    own, whole = (
        record.timing.arms[arm].memory_bytes if arm in record.timing.arms else None for arm in (name, record.study.baseline)
    )
    return Range(own / whole) if own and whole else None
