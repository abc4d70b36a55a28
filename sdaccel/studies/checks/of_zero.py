"""The check that a distance finds nothing where there is nothing: of real pictures to real pictures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sdaccel.metrics import decision
from sdaccel.metrics.intervals import Interval
from sdaccel.studies.checks.base import Verdict, check
from sdaccel.studies.checks.of_metrics import OfMetric, figure
from sdaccel.studies.results import Result


@check("contains_zero")
@dataclass(frozen=True, kw_only=True)
class ContainsZero(OfMetric):
    """How far outside the metric's interval 0 lies. By chance it does in one of twenty samples, so a miss counts among all
    claims of the study; that it lies inside is no claim of a difference, and has no p.
    """

    def judge(self, results: Sequence[Result]) -> Iterator[Verdict]:
        for result, _ in self.pairs(results):
            found = self.of(result).whole
            where = f"{self.metric} of {result.arm.name} is {figure(found)}"
            if found.estimate is None or found.low is None or found.high is None:
                yield self.decided(result, None, None, where)
                continue
            verdict = self.decided(result, None, max(found.low, -found.high, 0.0), where)
            if not verdict.passed:
                nearest = found.low if found.low > 0 else found.high
                p = decision.p_value(found.estimate, nearest, 0.0)
                verdict = replace(verdict, evidence=self._evidence(Interval(found.estimate, found.low, found.high), p))
            yield verdict
