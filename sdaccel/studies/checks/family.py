"""All checks of a study at once: what single ones found, corrected for how many there are."""

from collections.abc import Sequence
from dataclasses import replace

from sdaccel.metrics.decision import ALPHA, holm
from sdaccel.studies.checks.base import Check, Verdict
from sdaccel.studies.results import Result


def judged(checks: Sequence[Check], results: Sequence[Result]) -> list[Verdict]:
    """Every verdict, in the order of the checks."""
    return corrected([verdict for check in checks for verdict in check.judge(results)])


def corrected(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Claims of honest arms are one family; every control is its own."""
    family = [i for i, v in enumerate(verdicts) if v.evidence is not None and not v.control]
    out = list(verdicts)
    for i, p in zip(family, holm([e.p for v in verdicts if (e := v.evidence) and not v.control]), strict=True):
        out[i] = _settled(out[i], float(f"{p:.6g}"), len(family))
    return out


def _settled(verdict: Verdict, p: float, count: int) -> Verdict:
    assert verdict.evidence is not None, "it is of the family"
    own = replace(verdict, evidence=replace(verdict.evidence, adjusted=p))
    if verdict.passed is None or p <= ALPHA:
        return own
    return replace(own, passed=None, where=f"{own.where}; among {count} claims p is {p:.2g}")
