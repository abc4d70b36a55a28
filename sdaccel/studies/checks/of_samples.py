"""Checks of single samples: what steps ran, whether two runs are one, whether an audited strategy does what it says."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sdaccel.errors import BadInput
from sdaccel.studies.checks.base import Check, Scope, Verdict, check
from sdaccel.studies.diagnostics import PREFIX
from sdaccel.studies.results import Result


@check("all_full")
@dataclass(frozen=True, kw_only=True)
class AllFull(Check):
    """No step of any image was skipped."""

    def judge(self, results: Sequence[Result]) -> Iterator[Verdict]:
        for result, _ in self.pairs(results):
            skipped = [sum(kind != "full" for kind in entry["kinds"]) for entry in result.entries()]
            yield self.verdict(result, None, max(skipped), f"{len(result.first()['kinds'])} steps")


@check("equal")
@dataclass(frozen=True, kw_only=True)
class Equal(Check):
    """Largest absolute difference of the arrays both kept, and of the pixels; equal means torch.equal.

    What a strategy looked at on the way is not what it made: nan stands there for what was not looked at.
    """

    compares = True

    def judge(self, results: Sequence[Result]) -> Iterator[Verdict]:
        for result, reference in self.both(results):
            yield self.verdict(result, reference, *difference(result, reference))


def difference(result: Result, reference: Result) -> tuple[float, str, list[float]]:
    """(largest one, where the first one is, one value per step)."""
    both = set(result.first()["arrays"]) & set(reference.first()["arrays"])
    names = sorted(name for name in both if not name.startswith(PREFIX))
    rows = [
        np.stack([_difference(a, b) for a, b in zip(result.arrays(name), reference.arrays(name), strict=True)]).max(0)
        for name in names
    ]
    series = max(rows, key=lambda row: (row.max() > 0, len(row)), default=np.zeros(1))  # one that differs, else the longest
    pixels = sum(a["image"] != b["image"] for a, b in zip(result.entries(), reference.entries(), strict=True))
    value = max((float(row.max()) for row in rows), default=0.0) or float(pixels)
    off = f"first difference at index {int(np.argmax(series > 0))}" if series.max() > 0 else "all equal"
    return value, f"{', '.join(names) or 'pixels'}: {off}; {pixels} images differ", series.tolist()


def _difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Per first index; a NaN or another shape is an infinite difference."""
    if a.shape != b.shape:
        return np.full(max(len(a), len(b)), np.inf)
    with np.errstate(invalid="ignore"):
        off = np.abs(a.astype(np.float64) - b.astype(np.float64)).reshape(len(a), -1).max(1)
    return np.nan_to_num(off, nan=np.inf, posinf=np.inf)


@dataclass(frozen=True, kw_only=True)
class OfAudited(Check):
    """A check that reads what the audit kept."""

    def validate(self, scope: Scope) -> None:
        super().validate(scope)
        if blind := [arm for arm in self.judged(scope.arms) if "audit" not in arm.observers]:
            raise BadInput(f"{self.where}: arm {blind[0].name} has no audit; set audit: true.")


@check("anchors_written")
@dataclass(frozen=True, kw_only=True)
class AnchorsWritten(OfAudited):
    """Largest difference between the strategy's anchors and features taken by independent hooks, over every full step."""

    def judge(self, results: Sequence[Result]) -> Iterator[Verdict]:
        for result, _ in self.pairs(results):
            errors = np.stack(result.arrays("anchor_error"))
            full = np.array([[kind == "full" for kind in entry["kinds"]] for entry in result.entries()])
            missing = int(np.isnan(errors[full]).sum())
            worst = np.where(full, errors, 0).max(0)
            where = f"{int(full.sum())} full steps compared" if not missing else f"{missing} full steps were not compared"
            if worst.max() > 0:
                where = f"first difference at step {int(np.argmax(worst > 0))}"
            yield self.verdict(result, None, math.inf if missing else float(worst.max()), where, worst.tolist())


@check("forecast_published")
@dataclass(frozen=True, kw_only=True)
class ForecastPublished(OfAudited):
    """Relative L2 between the forecast the strategy would make at every step and the published recursion in float64."""

    @property
    def limit(self) -> float:
        return 1e-5

    def judge(self, results: Sequence[Result]) -> Iterator[Verdict]:
        for result, _ in self.pairs(results):
            errors = np.stack(result.arrays("reference_error"))
            if np.isnan(errors).all():
                yield self.verdict(result, None, math.inf, "no forecast was evaluated")
                continue
            worst = np.nanmax(np.where(np.isnan(errors), -1, errors), 0)
            gain = np.nanmedian(np.stack(result.arrays("forecast_error")) / np.stack(result.arrays("reuse_error")))
            where = f"{int((~np.isnan(errors)).sum())} forecasts; median error {gain:.3g} x that of reuse"
            yield self.verdict(result, None, float(worst.max()), where, [max(float(e), 0.0) for e in worst])
