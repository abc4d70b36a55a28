"""What all rules of speculative decoding share (SDVAR's parallel_v1, done right): a draft proposes, one target pass judges.

A rule is a dataclass below `Speculative` with `judge`, or below `ByShare` with `passes`. An exact rule keeps the target's
distribution, or its very samples; the others buy target calls with quality, which is for a study to tell.

Tokens are judged, whatever a model paints with them: HART's residual is drawn by the target once the tokens of the last scale
are, which is never drafted, so an exact rule keeps it too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from torch import Tensor

from sdaccel.conditions import Condition
from sdaccel.errors import BadInput
from sdaccel.generators.base import Cost
from sdaccel.generators.nextscale.seam import ScaleSeam
from sdaccel.strategies.base import Declares, Excludes, Foreseen
from sdaccel.strategies.speculative.decode import Speculation
from sdaccel.strategies.speculative.expectation import CALLS, expected, of_macs
from sdaccel.strategies.speculative.gammas import COSTS, POLICIES
from sdaccel.strategies.speculative.judge import Acceptance, Drafted
from sdaccel.strategies.speculative.ledger import STATS
from sdaccel.strategies.two_models import Model, TwoModels

RELAXED = Declares(seam="scales", exact=False, beside=("draft",), stats=STATS)
"""A rule that may let stand what the target would not have drawn."""
SMOOTH = "paints a mix of codes, and this rule is exact about drawn ones; set it to false or choose another rule"
EXACT = replace(RELAXED, exact=True, excludes=(Excludes("more_smooth", True, SMOOTH),))
"""A rule that keeps the target's distribution."""


@dataclass(frozen=True, kw_only=True)
class Speculative(TwoModels):
    """Draft scales, judge them in one pass of the target, keep what stands."""

    gamma: int = 2
    """Scales to propose, at most; fewer where the last scale comes nearer, which is never drafted."""
    policy: str = "fixed"
    """How gamma changes: fixed; seed (one fewer after a proposal of which nothing stood); adaptive (what the sample's own
    acceptance and `costs` make worth its price)."""
    costs: str = "latency_bound"
    """Table of adaptive: latency_bound or compute_bound."""
    distances: bool = False
    """Record how far draft and target are apart at every judged scale; it takes time, so it is off where time is measured."""

    declares: ClassVar[Declares] = RELAXED
    supposed: ClassVar[float] = 0.5
    """How often a drafted scale stands, for a plan that has to name a price beforehand."""

    def check(self, steps: int) -> None:
        if not 1 <= self.gamma < steps:
            raise BadInput(
                f"strategy.gamma={self.gamma} is outside 1 .. {steps - 1}: of {steps} scales the last is never drafted, "
                "because the pass that judges the others makes it."
            )
        for name, value, known in (("policy", self.policy, POLICIES), ("costs", self.costs, COSTS)):
            if value not in known:
                raise BadInput(f"strategy.{name}={value} is unknown; choose one of {', '.join(known)}.")

    def fits(self, target: Any, conditions: Sequence[Condition]) -> None:
        super().fits(target, conditions)
        if reason := target.refuses_parted_rows:
            raise BadInput(f"speculation lets the rows of a batch part ways, and {reason}.")

    def plan(self, steps: int) -> list[str]:
        """The target reads every scale once at least."""
        return ["full"] * steps

    def foreseen(self, cost: Cost, beside: Mapping[str, Cost]) -> Foreseen:
        """Target calls and multiply-accumulates, as if `gamma` stayed and every scale stood alike."""
        scales = len(cost.macs)
        each = [self.supposed] * (scales - 1)
        calls, macs = (expected(p, each, gamma=self.gamma) for p in (CALLS, of_macs(cost.macs, beside["draft"].macs)))
        given = f"{self.supposed:.0%} of the drafted scales stood"
        return Foreseen(macs, f"about {calls:.1f} target calls for {scales} scales (an estimate, as if {given})")

    def judge(self, drafted: Drafted) -> Acceptance:
        """The rule, given that every scale before this one stood."""
        raise NotImplementedError

    def start(self, seam: ScaleSeam, *, steps: int, models: Mapping[str, Model]) -> Speculation:
        draft = models["draft"].start(seam.condition, seam.seeds)
        per_scale = seam.canvas.layout.lengths()
        gammas = [POLICIES[self.policy](self.gamma, COSTS[self.costs], per_scale) for _ in range(seam.rows)]
        return Speculation(seam, draft, judge=self.judge, gammas=gammas, distances=self.distances)


@dataclass(frozen=True, kw_only=True)
class ByShare(Speculative):
    """A scale stands, as drafted, if the share of its tokens that pass reaches the threshold."""

    threshold: float = 0.8

    def check(self, steps: int) -> None:
        super().check(steps)
        check_share("threshold", self.threshold)

    def passes(self, drafted: Drafted) -> Tensor:
        """(B, l) bool, token by token."""
        raise NotImplementedError

    def judge(self, drafted: Drafted) -> Acceptance:
        return Acceptance(self.passes(drafted).double().mean(-1) >= self.threshold, lambda: drafted.own)


def check_share(name: str, value: float) -> None:
    """Raise BadInput unless an option is a share of tokens or a probability."""
    if not 0 <= value <= 1:
        raise BadInput(f"strategy.{name}={value} must lie in [0, 1], a share.")
