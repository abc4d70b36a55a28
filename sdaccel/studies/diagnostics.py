"""What strategies looked at while they ran: arrays named `diagnostics.*` stand in the record as means over samples."""

from typing import Any

import numpy as np

from sdaccel.metrics.aggregate import digits
from sdaccel.studies.results import Result

PREFIX = "diagnostics."


def diagnostics(result: Result) -> dict[str, Any]:
    """Nothing where nothing was looked at; None where no sample has a finite value."""
    names = [name for name in result.first()["arrays"] if name.startswith(PREFIX)]
    if not names:
        return {}
    return {"diagnostics": {name.removeprefix(PREFIX): rounded(_mean(result.arrays(name))) for name in names}}


def _mean(rows: list[np.ndarray]) -> np.ndarray:
    values = np.stack(rows)
    known = np.isfinite(values)
    total, count = np.where(known, values, 0).sum(0), known.sum(0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def rounded(values: np.ndarray) -> Any:
    """Nested lists of six digits."""
    return [rounded(row) for row in values] if values.ndim else digits(float(values))
