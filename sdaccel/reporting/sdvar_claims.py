"""What SDVAR's documents claim, a row per claim and arm: measured, bounded by formula at d16 beside d30, verdict and reason.

Five promised numbers, three presets of entry scale and mask, and what each mask is said to do.
"""

from collections.abc import Iterator

from sdaccel.records.view import Record
from sdaccel.reporting import sdvar_bounds as bounds
from sdaccel.reporting.cells import Cell, Range, Table, ranged
from sdaccel.reporting.entry_sweep import handed_over
from sdaccel.reporting.promised import HOLDS, OPEN, REFUTED
from sdaccel.reporting.registry import table, with_figure
from sdaccel.reporting.sdvar_masks import descriptions
from sdaccel.reporting.sdvar_promises import CORRECT, PROMISES
from sdaccel.reporting.series import labels
from sdaccel.reporting.winners import difference

COLUMNS = ("claim", "arm", "the seed says", "measured", "bound at d16, d30", "verdict", "reason")
PRESETS = {(2, 5): "quality first", (5, 2): "balanced", (8, 1): "speed first"}
"""entry_num and sd_mask -> what the seed recommends it for."""


def accelerated(record: Record) -> dict[str, str]:
    """Arm -> its name for readers, of the arms with two models of as many scales as the documents'."""
    stats = {name: arm.samples[0].stats for name, arm in record.arms.items()}
    own = [name for name in stats if "target_calls" in stats[name] and len(stats[name]["target_runs"]) == bounds.SCALES]
    return labels({name: record.arms[name] for name in own})


@table(name="claims", place=100, needs=with_figure("sdvar_claims"))
def claims(record: Record) -> Table:
    """Promises, presets and masks."""
    rows = [*_promises(record), *_presets(record), *_masks(record)]
    return Table(COLUMNS, rows, missing="not measured")


def _promises(record: Record) -> Iterator[tuple[Cell, ...]]:
    arms = accelerated(record)
    verdicts: dict[str, list[str]] = {name: [] for name in arms}
    for promise in PROMISES:
        for name, shown in arms.items():
            found = promise.measure(record, name)
            verdicts[name].append(promise.verdict(found))
            bound = promise.bound(bounds.work_of(record.arms[name].samples))
            yield promise.name, shown, promise.says, found, bound, verdicts[name][-1], promise.reason(record, name)
    for name, shown in arms.items():
        broken = [promise.name for promise, verdict in zip(PROMISES, verdicts[name], strict=True) if verdict == REFUTED]
        whole = REFUTED if broken else HOLDS if set(verdicts[name]) == {HOLDS} else OPEN
        yield "all of these at once", shown, "promised together", None, "", whole, ", ".join(broken) or "none refuted"


def _presets(record: Record) -> Iterator[tuple[Cell, ...]]:
    """Against the same entry with the right mask: what the preset's mask buys."""
    arms = {point: name for name, point in handed_over(record).items()}
    for (entry, sd_mask), purpose in PRESETS.items():
        preset, right = arms.get((entry, sd_mask)), arms.get((entry, CORRECT))
        if preset is None or right is None:
            continue
        gap = _gap(record, preset, right)
        verdict = OPEN if gap is None else _side(gap)
        says = f"{purpose}: entry_num={entry}, sd_mask={sd_mask}"
        reason = f"How much better its FID is than with mask {CORRECT}, which makes the same calls over the same tokens."
        yield "preset (FID)", accelerated(record)[preset], says, gap, "the mask saves nothing", verdict, reason


def _side(gap: Range) -> str:
    """Better for certain, worse for certain, or neither."""
    assert gap.low is not None and gap.high is not None
    return REFUTED if gap.high < 0 else HOLDS if gap.low > 0 else OPEN


def _gap(record: Record, preset: str, right: str) -> Range | None:
    """None where there are too few samples for an interval."""
    found = [record.arms[name].metrics.get("fid") for name in (preset, right)]
    if any(fid is None or fid.low is None for fid in found):
        return None
    return difference(record, "fid", preset, right)


def _masks(record: Record) -> Iterator[tuple[Cell, ...]]:
    """What each mask is said to do, beside what it does, and its quality at one entry."""
    arms = handed_over(record)
    entries = [entry for entry, _ in arms.values()]
    if not entries:
        return
    entry = max(entries, key=entries.count)  # the one at which most masks were run
    for each in descriptions():
        name = next((arm for arm, point in arms.items() if point == (entry, each.sd_mask)), None)
        quality = ranged(record.arms[name].metrics.get("fid")) if name else None
        shown = accelerated(record)[name] if name else ""
        verdict = HOLDS if each.holds else REFUTED
        yield f"mask {each.sd_mask} (FID)", shown, each.says, quality, each.share, verdict, each.does
