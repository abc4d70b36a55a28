"""What a table is made of, and how its cells read."""

from dataclasses import dataclass

from sdaccel.measure.speedup import Speedup
from sdaccel.records.timing import Quantiles
from sdaccel.records.view import Metric


@dataclass(frozen=True)
class Range:
    """An estimate with the ends of its interval, where it has one."""

    estimate: float
    low: float | None = None
    high: float | None = None
    note: str = ""
    """Why it has none."""

    @property
    def interval(self) -> str:
        """Or the note in its place."""
        if self.low is None or self.high is None:
            return self.note and f"({self.note})"
        return f"[{digits(self.low)}, {digits(self.high)}]"


def ranged(found: Metric | None) -> Range | None:
    """A metric with its interval; None where it has no value."""
    return None if found is None or found.estimate is None else Range(found.estimate, found.low, found.high)


def spanned(found: Quantiles, *, times: float = 1.0) -> Range:
    """Median with 10th and 90th percentile, in another unit."""
    return Range(times * found.p50, times * found.p10, times * found.p90)


def faster(found: Speedup | None) -> Range | None:
    """Ratio of medians with its interval, or why it has none."""
    return Range(found.estimate, found.low, found.high, found.note) if found else None


Cell = str | int | float | bool | Range | None
"""None: not a finite number, or nothing to say; an empty cell in CSV."""


@dataclass(frozen=True)
class Table:
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]]
    missing: str = "–"
    """What an empty cell reads as."""

    @property
    def numeric(self) -> list[bool]:
        """By column, whether it holds numbers."""
        return [any(isinstance(row[i], int | float | Range) for row in self.rows) for i in range(len(self.columns))]


def digits(value: float) -> str:
    """Three digits, and all of those before the point."""
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"


def shown(cell: Cell, *, missing: str) -> str:
    """A cell for reading."""
    if cell is None:
        return missing
    if isinstance(cell, Range):
        return f"{digits(cell.estimate)} {cell.interval}".strip()
    return digits(cell) if isinstance(cell, float) else str(cell)
