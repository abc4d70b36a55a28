"""Checks on what whole arms reached: a metric or a price, beside a bound or another arm."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sdaccel.errors import BadInput
from sdaccel.metrics import metric as metrics
from sdaccel.metrics.aggregate import Aggregate, digits
from sdaccel.studies.arms import Arm
from sdaccel.studies.checks.base import Check, Scope, Verdict, check, partner
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

    def validate(self, scope: Scope) -> None:
        super().validate(scope)
        if self.metric not in scope.metrics:
            none = "none is measured; choose metrics=world or metrics=files"
            choices = f"there are {', '.join(scope.metrics)}" if scope.metrics else none
            raise BadInput(f"{self.where}: metric {self.metric} is unknown; {choices}.")
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

    def of(self, result: Result) -> Aggregate:
        return result.metrics.aggregates[self.metric]

    def compared(self, given: Sequence[Result], take: Callable[[Aggregate], Any], compare: Callable[..., float]) -> Verdict:
        """What is taken of the metric of an arm, or of an arm and another, compared; open where there is nothing to take."""
        result, other = given[0], given[1] if len(given) > 1 else None
        values = [take(self.of(each)) for each in given]
        for each, value in zip(given, values, strict=True):
            if value is None:
                return self.decided(result, other, None, f"{self.metric} of {each.arm.name}: {_why(self.of(each))}")
        where = " and ".join(f"{each.arm.name} {_shown(self.of(each))}" for each in given)
        return self.decided(result, other, compare(*values), where)


@dataclass(frozen=True, kw_only=True)
class Single(OfMetric):
    """Every arm beside a number."""

    bound: float | None = None

    @property
    def limit(self) -> float:
        return self.bound  # type: ignore[return-value]

    def judge(self, results: Sequence[Result]) -> Iterator[Verdict]:
        for result, _ in self.pairs(results):
            yield self.compared([result], _estimate, lambda own: own)


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


@check("ratio")
@dataclass(frozen=True, kw_only=True)
class Ratio(OfMetric, OneBound):
    compares = True

    def judge(self, results: Sequence[Result]) -> Iterator[Verdict]:
        for pair in self.both(results):
            yield self.compared(pair, _estimate, lambda own, other: own / other if other else math.inf)


@dataclass(frozen=True, kw_only=True)
class ByInterval(OfMetric):
    compares = True

    @property
    def relation(self) -> str:
        return ">="

    def validate(self, scope: Scope) -> None:
        super().validate(scope)
        if not metrics.of(self.metric).interval:
            raise BadInput(f"{self.where}: metric {self.metric} has no interval; choose another.")


@check("disjoint")
@dataclass(frozen=True, kw_only=True)
class Disjoint(ByInterval):
    def judge(self, results: Sequence[Result]) -> Iterator[Verdict]:
        for pair in self.both(results):
            yield self.compared(pair, _interval, lambda own, other: own[0] - other[1])


@check("no_worse")
@dataclass(frozen=True, kw_only=True)
class NoWorse(ByInterval):
    """How far the estimate lies on the better side of the worse end of the reference's interval."""

    def judge(self, results: Sequence[Result]) -> Iterator[Verdict]:
        for result, reference in self.both(results):
            own, other = self.of(result), self.of(reference)
            worse = other.low if self.sign > 0 else other.high
            if own.estimate is None or worse is None:
                short = result if own.estimate is None else reference
                why = self.of(short).note or "it has no interval"
                yield self.decided(result, reference, None, f"{self.metric} of {short.arm.name}: {why}")
                continue
            where = f"{result.arm.name} {_shown(own)} and {reference.arm.name} {_shown(other)}"
            yield self.decided(result, reference, self.sign * (own.estimate - worse), where)


@check("equivalent")
@dataclass(frozen=True, kw_only=True)
class Equivalent(OfMetric):
    """Open where the interval reaches over the bound without leaving it behind."""

    within: float | None = None

    compares = True

    @property
    def limit(self) -> float:
        return self.within  # type: ignore[return-value]

    @property
    def difference(self) -> str:
        return f"{self.metric}_difference"

    def validate(self, scope: Scope) -> None:
        if self.metric in scope.metrics and self.difference not in scope.metrics:
            raise BadInput(f"{self.where}: metric {self.metric} has no difference with an interval; choose fid or kid.")
        super().validate(scope)
        for arm in self.judged(scope.arms):
            reference = partner(arm, self.arms[0], scope.arms)
            if arm.baseline(scope.baseline, scope.arms) != reference:
                raise BadInput(f"{self.where}: {arm.name} is compared with {reference.name}, which is not its baseline.")

    def judge(self, results: Sequence[Result]) -> Iterator[Verdict]:
        for result, reference in self.both(results):
            found, own = result.metrics.aggregates[self.difference], self.of(reference)
            ends = _interval(found)
            if ends is None or not own.estimate:
                yield self.decided(result, reference, None, found.note or own.note or "there is no interval")
                continue
            size = abs(own.estimate)
            furthest, nearest = max(map(abs, ends)) / size, 0.0 if ends[0] <= 0 <= ends[1] else min(map(abs, ends)) / size
            where = f"difference {_shown(found)} of {own.estimate:.4g}"
            verdict = self.decided(result, reference, furthest, where)
            yield verdict if verdict.passed or nearest > self.limit else replace(verdict, passed=None)


@check("monotone")
@dataclass(frozen=True, kw_only=True)
class Monotone(OfMetric):
    """One verdict: the step that rises most. A row of arms has no room for a bug."""

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
        steps = [
            self.compared([after, before], _estimate, lambda own, other: self.sign * (own - other))
            for before, after in itertools.pairwise(row)
        ]
        yield max(steps, key=lambda v: math.inf if v.measured is None else v.measured)


def _estimate(found: Aggregate) -> float | None:
    return found.estimate


def _interval(found: Aggregate) -> tuple[float, float] | None:
    return None if found.low is None or found.high is None else (found.low, found.high)


def _why(found: Aggregate) -> str:
    return found.note or "it has no value"


def _shown(found: Aggregate) -> str:
    interval = "" if found.low is None or found.high is None else f" [{found.low:.4g}, {found.high:.4g}]"
    return f"{found.estimate:.4g}{interval}"
