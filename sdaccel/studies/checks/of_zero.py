"""The check that a distance finds nothing where there is nothing: of real pictures to real pictures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sdaccel.studies.checks.base import Verdict, check
from sdaccel.studies.checks.of_metrics import OfMetric
from sdaccel.studies.results import Result


@check("contains_zero")
@dataclass(frozen=True, kw_only=True)
class ContainsZero(OfMetric):
    """How far outside the metric's interval 0 lies; by chance it does in one of twenty samples."""

    def judge(self, results: Sequence[Result]) -> Iterator[Verdict]:
        for result, _ in self.pairs(results):
            found = result.metrics.aggregates[self.metric]
            if found.low is None or found.high is None:
                why = found.note or "it has no interval"
                yield self.decided(result, None, None, f"{self.metric} of {result.arm.name}: {why}")
                continue
            where = f"{self.metric} of {result.arm.name} is {found.estimate:.4g} [{found.low:.4g}, {found.high:.4g}]"
            yield self.decided(result, None, max(found.low, -found.high, 0.0), where)
