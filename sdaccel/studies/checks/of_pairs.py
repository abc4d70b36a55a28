"""Checks that an arm is as good as another: what is lost is compared with the largest loss that would not matter."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from sdaccel.errors import BadInput
from sdaccel.metrics import contrast, decision
from sdaccel.metrics import metric as metrics
from sdaccel.metrics.aggregate import Aggregate
from sdaccel.metrics.intervals import Interval
from sdaccel.records.view import Evidence
from sdaccel.studies.checks.base import Scope, Verdict, check, partner
from sdaccel.studies.checks.of_metrics import Comparison, figure
from sdaccel.studies.results import Result


@dataclass(frozen=True, kw_only=True)
class OfPairs(Comparison):
    """Sample by sample, or by a distance's own difference to the baseline; positive is worse than the first arm."""

    margin: float | None = None
    """In the metric's unit."""

    sides: ClassVar[int] = 1
    """On which a difference could lie that matters."""

    def __post_init__(self) -> None:
        margin: Any = self.margin
        if isinstance(margin, bool) or not isinstance(margin, int | float) or not margin > 0:
            raise BadInput(
                f"{self.where}: margin={margin} must be a number above 0: how much worse in {self.metric or 'the metric'} "
                "would not matter."
            )
        super().__post_init__()

    @property
    def limit(self) -> float:
        return self.margin  # type: ignore[return-value]

    @property
    def difference(self) -> str:
        return f"{self.metric}_difference"

    def validate(self, scope: Scope) -> None:
        super().validate(scope)
        each = metrics.of(self.metric).each
        if not each and self.difference not in scope.metrics:
            raise BadInput(
                f"{self.where}: metric {self.metric} has no pairs, neither a value of every sample nor a difference with an "
                "interval; choose one that has, such as judge.mean, clip_score, fid or kid."
            )
        for arm in self.judged(scope.arms):
            reference = partner(arm, self.arms[0], scope.arms)
            if not arm.shares_noise(reference):
                raise BadInput(f"{self.where}: {arm.name} and {reference.name} share no noise, so their samples are no pairs.")
            if not each and arm.baseline(scope.baseline, scope.arms) != reference:
                raise BadInput(f"{self.where}: {arm.name} is compared with {reference.name}, which is not its baseline.")

    def judge(self, results: Sequence[Result]) -> Iterator[Verdict]:
        for result, reference in self.both(results):
            loss = self._loss(result, reference)
            where = f"{result.arm.name} loses {figure(loss)} {self.metric} beside {reference.arm.name}"
            yield self.by_interval(result, reference, loss, where)

    def _loss(self, result: Result, reference: Result) -> Aggregate:
        own, other = self.of(result), self.of(reference)
        if own.values is None and self.difference in result.metrics.aggregates:
            gain = contrast.seen(result.metrics, self.difference).whole
        else:
            gain = contrast.difference(own, other)
        return contrast.negated(gain) if self.sign > 0 else gain

    def _evidence(self, found: Interval, p: float) -> Evidence:
        power = decision.power(decision.standard_error(found), self.limit, sides=self.sides)
        return replace(super()._evidence(found, p), margin=self.limit, power=float(f"{power:.6g}"))


@check("non_inferior")
@dataclass(frozen=True, kw_only=True)
class NonInferior(OfPairs):
    """The loss is below the margin."""


@check("equivalent")
@dataclass(frozen=True, kw_only=True)
class Equivalent(OfPairs):
    """Better by more than the margin is no equivalence either."""

    sides = 2

    @property
    def region(self) -> decision.Region:
        return -self.limit, self.limit
