"""What a document promises of an arm, held against what was measured."""

from sdaccel.records.view import Record
from sdaccel.reporting.cells import Range, faster

HOLDS, REFUTED, OPEN = "holds", "refuted", "open"
INFINITE = float("inf")


def judged(found: Range | None, *, at_least: float = -INFINITE, at_most: float = INFINITE) -> str:
    """By both ends of the interval; open where it holds the limit, or where nothing was measured."""
    if found is None:
        return OPEN
    low = found.estimate if found.low is None else found.low
    high = found.estimate if found.high is None else found.high
    if high < at_least or low > at_most:
        return REFUTED
    return HOLDS if low >= at_least and high <= at_most else OPEN


def speedup(record: Record, name: str) -> Range | None:
    """Ratio of medians; None without an interval."""
    found = record.timing.arms.get(name)
    return faster(found.speedup) if found and found.speedup and found.speedup.low is not None else None
