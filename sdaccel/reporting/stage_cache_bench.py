"""What forced plans of the stage cache took, beside the sum of their parts."""

from sdaccel.records.outline import Outline
from sdaccel.records.timing import Benched
from sdaccel.records.view import Record
from sdaccel.reporting import style
from sdaccel.reporting.cells import Cell, Table, faster, spanned
from sdaccel.reporting.registry import table
from sdaccel.reporting.timing import INTERVAL

BAR = 0.1
"""Of the measured seconds; so far off a sum of parts may be."""


def forced(outline: Outline) -> str | None:
    return None if outline.bench == "stage_cache" else "the plans that sdaccel bench +bench=stage_cache forces."


@table(name="stage_cache_plans", place=150, needs=forced)
def plans_table(record: Record) -> Table:
    """A row per case and plan: the clock, the ceiling of its multiply-accumulates, and the sum of its parts."""
    clock = ("clock (ms, decode in) [p10, p90]", f"speed-up (×) {INTERVAL}", "MAC ceiling (×)")
    columns = ("case", "plan", "rounds", *clock, "sum of parts (ms) [p10, p90]", "off", f"within {BAR:.0%}")
    rows: list[tuple[Cell, ...]] = []
    for case, found in record.timing.cases.items():
        for name, arm in found.arms.items():
            times = spanned(arm.seconds, times=1e3), faster(arm.speedup), arm.mac_ceiling
            rows.append((case, style.titled(record, name), arm.seconds.n, *times, *_fit(arm)))
    for case, failed in record.timing.failed.items():
        rows += [(case, name, 0, *[None] * 5, f"failed: {why}") for name, why in failed.items()]
    return Table(columns, rows)


def _fit(arm: Benched) -> tuple[Cell, Cell, Cell]:
    if arm.predicted is None:
        return None, None, None
    off = arm.predicted.p50 / arm.seconds.p50 - 1
    return spanned(arm.predicted, times=1e3), f"{off:+.1%}", "yes" if abs(off) <= BAR else "no"


@table(name="stage_cache_parts", place=160, needs=forced)
def parts_table(record: Record) -> Table:
    """Milliseconds by phase: of the target, and of the plans that reuse wherever a stage may."""
    phases = {case: [name.split(": ", 1) for name in parts] for case, parts in record.timing.parts.items()}
    arms = list(dict.fromkeys(arm for named in phases.values() for _, arm in named))
    rows: list[tuple[Cell, ...]] = []
    for case, parts in record.timing.parts.items():
        for phase in dict.fromkeys(phase for phase, _ in phases[case]):
            found = (parts.get(f"{phase}: {arm}") for arm in arms)
            rows.append((case, phase, *(spanned(part, times=1e3) if part else None for part in found)))
    return Table(("case", "phase", *(f"{arm} (ms) [p10, p90]" for arm in arms)), rows)
