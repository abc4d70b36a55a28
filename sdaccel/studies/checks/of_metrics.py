"""Checks on what whole arms reached: a metric or a price, beside a bound or another arm."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sdaccel.errors import BadInput
from sdaccel.metrics import contrast, decision
from sdaccel.metrics import metric as metrics
from sdaccel.metrics.aggregate import Aggregate, digits
from sdaccel.metrics.contrast import Seen
from sdaccel.metrics.intervals import Interval
from sdaccel.records.view import Evidence
from sdaccel.studies.arms import Arm
from sdaccel.studies.checks.base import Check, Scope, Verdict, check
from sdaccel.studies.results import Result


@dataclass(frozen=True, kw_only=True)
class OfWhole(Check):
    """A control goes through it only if it names it."""

    def __post_init__(self) -> None:
        limit: Any = self.limit
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not math.isfinite(limit):
            raise BadInput(f"{self.where}: the bound {limit} must be a number.")

    def aims_at(self, control: Arm) -> bool:
        return control.fails == self.title and super().aims_at(control)

    def decided(self, result: Result, other: Result | None, value: float | None, where: str) -> Verdict:
        """By the six digits that a record has of a value."""
        shown = digits(value)
        return self.verdict(result, other, math.inf if value is not None and shown is None else shown, where)


@dataclass(frozen=True, kw_only=True)
class OneBound(OfWhole):
    """`at_least: NUMBER` or `at_most: NUMBER`."""

    at_least: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        if (self.at_least is None) == (self.at_most is None):
            raise BadInput(f"{self.where} needs one bound: at_least: NUMBER or at_most: NUMBER.")
        super().__post_init__()

    @property
    def relation(self) -> str:
        return "<=" if self.at_least is None else ">="

    @property
    def limit(self) -> float:
        return self.at_most if self.at_least is None else self.at_least  # type: ignore[return-value]


@check("macs")
@dataclass(frozen=True, kw_only=True)
class Macs(OneBound):
    """Multiply-accumulates of the first arm over those of the others."""

    compares = True

    def judge(self, results: Sequence[Result]) -> Iterator[Verdict]:
        for result, reference in self.both(results):
            value = reference.macs / result.macs if result.macs else math.inf
            yield self.decided(result, reference, value, f"{reference.macs:.4g} / {result.macs:.4g} MACs")


@dataclass(frozen=True, kw_only=True)
class OfMetric(OfWhole):
    """Judged by the ends of an interval: it holds where all of the interval does, fails where none of it does."""

    metric: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.metric, str) or not self.metric:
            raise BadInput(f"{self.where} needs a metric, such as metric: judge.mean.")
        super().__post_init__()

    @property
    def title(self) -> str:
        return f"{self.name} {self.metric}"

    @property
    def sign(self) -> int:
        """Of better."""
        return -1 if metrics.of(self.metric).lower else 1

    @property
    def region(self) -> decision.Region:
        """Where the measured value has to lie."""
        return (self.limit, math.inf) if self.relation == ">=" else (-math.inf, self.limit)

    def validate(self, scope: Scope) -> None:
        super().validate(scope)
        if self.metric not in scope.metrics:
            none = "none is measured; choose metrics=world or metrics=files"
            choices = f"there are {', '.join(scope.metrics)}" if scope.metrics else none
            raise BadInput(f"{self.where}: metric {self.metric} is unknown; {choices}.")
        if not metrics.of(self.metric).interval:
            raise BadInput(f"{self.where}: metric {self.metric} has no interval; choose another.")
        for arm in [*self.judged(scope.arms), *(arm for arm in scope.arms if arm.template in self.arms and not arm.mutant)]:
            self._measurable(arm, scope)

    def _measurable(self, arm: Arm, scope: Scope) -> None:
        found, other = metrics.of(self.metric), arm.baseline(scope.baseline, scope.arms)
        if found.beside and (other is None or other.name == arm.name):
            raise BadInput(
                f"{self.where}: {self.metric} compares with a baseline and arm {arm.name} has none; set study.baseline or "
                "against."
            )
        if found.paired and other is not None and not arm.shares_noise(other):
            raise BadInput(
                f"{self.where}: {self.metric} compares pictures in pairs, and those of {arm.name} and {other.name} are none."
            )

    def of(self, result: Result) -> Seen:
        return contrast.seen(result.metrics, self.metric)

    def by_interval(self, result: Result, other: Result | None, found: Aggregate, where: str) -> Verdict:
        """Open where there is no interval, or it reaches over the bound."""
        ends = found.estimate, found.low, found.high
        verdict = self.decided(result, other, found.estimate, where)
        if None in ends:
            return replace(verdict, passed=None, where=where if found.estimate is None else f"{where}: {_why(found)}")
        if found.low == found.high and found.n < SAME:
            return replace(verdict, passed=None, where=f"{where}: all {found.n} samples agree; {SAME} or more would tell")
        interval = Interval(*(float(f"{end:.6g}") for end in ends))
        holds, p = decision.decide(interval, self.region)
        return by_p(replace(verdict, evidence=self._evidence(interval, p)), holds=holds)

    def _evidence(self, found: Interval, p: float) -> Evidence:
        se = decision.standard_error(found)
        return Evidence(digits(found.low), digits(found.high), float(f"{p:.6g}"), digits(decision.detectable(se)))


SAME = 100
"""Samples that agree in all they are asked, so many that fewer than 4 of 100 others may differ (97.5 %)."""


def by_p(verdict: Verdict, *, holds: bool) -> Verdict:
    """Decided by how sure the interval is of what the estimate says."""
    evidence = verdict.evidence
    assert evidence is not None, "it has an interval"
    if evidence.p <= decision.ALPHA:
        return replace(verdict, passed=holds)
    seen = "" if evidence.detectable is None else f" (a distance of {evidence.detectable:.2g} would mostly show)"
    return replace(verdict, passed=None, where=f"{verdict.where}; the interval reaches over the bound{seen}")


@dataclass(frozen=True, kw_only=True)
class Single(OfMetric):
    """Every arm beside a number."""

    bound: float | None = None

    @property
    def limit(self) -> float:
        return self.bound  # type: ignore[return-value]

    def judge(self, results: Sequence[Result]) -> Iterator[Verdict]:
        for result, _ in self.pairs(results):
            own = self.of(result).whole
            yield self.by_interval(result, None, own, f"{self.metric}: {result.arm.name} {figure(own)}")


@check("at_least")
@dataclass(frozen=True, kw_only=True)
class AtLeast(Single):
    @property
    def relation(self) -> str:
        return ">="


@check("at_most")
@dataclass(frozen=True, kw_only=True)
class AtMost(Single):
    """The other side."""


@dataclass(frozen=True, kw_only=True)
class Comparison(OfMetric):
    """With the first arm."""

    compares = True

    def shown(self, result: Result, reference: Result) -> str:
        both = (f"{each.arm.name} {figure(self.of(each).whole)}" for each in (result, reference))
        return f"{self.metric}: {' and '.join(both)}"


@check("ratio")
@dataclass(frozen=True, kw_only=True)
class Ratio(Comparison, OneBound):
    """A ratio to nothing never passes."""

    def judge(self, results: Sequence[Result]) -> Iterator[Verdict]:
        for result, reference in self.both(results):
            where, own, other = self.shown(result, reference), self.of(result), self.of(reference)
            if other.whole.estimate == 0:
                yield self.decided(result, reference, math.inf, where)
                continue
            yield self.by_interval(result, reference, contrast.ratio(own, other), where)


@check("disjoint")
@dataclass(frozen=True, kw_only=True)
class Disjoint(Comparison):
    """Two intervals, each as it stands: there is no p in it."""

    @property
    def relation(self) -> str:
        return ">="

    def judge(self, results: Sequence[Result]) -> Iterator[Verdict]:
        for result, reference in self.both(results):
            own, other = self.of(result).whole, self.of(reference).whole
            gap = None if own.low is None or other.high is None else own.low - other.high
            yield self.decided(result, reference, gap, self.shown(result, reference))


@check("monotone")
@dataclass(frozen=True, kw_only=True)
class Monotone(OfMetric):
    """One verdict: the step that rises most, or is least sure not to. A row of arms has no room for a bug."""

    within: float = 0.0

    @property
    def limit(self) -> float:
        return self.within

    def aims_at(self, control: Arm) -> bool:
        return False

    def validate(self, scope: Scope) -> None:
        super().validate(scope)
        if len(self.judged(scope.arms)) < 2:
            raise BadInput(f"{self.where} needs two or more arms in order.")

    def judge(self, results: Sequence[Result]) -> Iterator[Verdict]:
        row = [result for result, _ in self.pairs(results)]
        yield _of_all([self._step(after, before) for before, after in itertools.pairwise(row)], self.limit)

    def _step(self, after: Result, before: Result) -> Verdict:
        rise = contrast.difference(self.of(after), self.of(before))
        better = rise if self.sign > 0 else contrast.negated(rise)
        where = f"{after.arm.name} gains {figure(better)} {self.metric} beside {before.arm.name}"
        return self.by_interval(after, before, better, where)


def _of_all(steps: Sequence[Verdict], limit: float) -> Verdict:
    """No step may rise, so the least sure one speaks; of steps that do, the surest one, which had as many chances."""
    sure = [(step, step.evidence) for step in steps if step.evidence is not None]
    risen = [(step, e) for step, e in sure if step.measured is not None and step.measured > limit]
    if risen:
        step, found = min(risen, key=lambda pair: pair[1].p)
        step = replace(step, evidence=replace(found, p=min(len(steps) * found.p, 1.0)))
        return step if step.passed is None else by_p(step, holds=False)
    if len(sure) < len(steps):
        return next(step for step in steps if step.evidence is None)
    return max(sure, key=lambda pair: pair[1].p)[0]


def figure(found: Aggregate) -> str:
    """With its interval, or why there is none."""
    if found.estimate is None:
        return f"nothing known ({_why(found)})"
    interval = "" if found.low is None or found.high is None else f" [{found.low:.4g}, {found.high:.4g}]"
    return f"{found.estimate:.4g}{interval}"


def _why(found: Aggregate) -> str:
    return found.note or "it has no interval"
