"""How many scales to propose next: a pure function of what became of the sample's proposals so far, and of a committed table.

s next scale · K scales · l_k tokens of scale k · a running acceptance · g scales proposed

Proposing never includes the last scale: the pass that judges the others makes it at the same price, and by the target itself.
Wall time never decides, or a busy machine would change the pictures; measured costs enter through COSTS.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


class Gamma(Protocol):
    """One sample's count of proposals."""

    def propose(self, scale: int) -> int:
        """Scales to propose from this one on; 0 lets the target make it alone."""
        ...

    def saw(self, *, drafted: int, accepted: int) -> None:
        """What became of a proposal: how many of its scales were judged to stand, in order."""
        ...


@dataclass
class Fixed:
    """Always gamma."""

    gamma: int

    def propose(self, scale: int) -> int:
        return self.gamma

    def saw(self, *, drafted: int, accepted: int) -> None:
        """Nothing changes."""


@dataclass
class Seed:
    """SDVAR's: one fewer after a proposal of which nothing stood, never more again."""

    gamma: int

    def propose(self, scale: int) -> int:
        return self.gamma

    def saw(self, *, drafted: int, accepted: int) -> None:
        if drafted and not accepted:
            self.gamma = max(1, self.gamma - 1)


@dataclass(frozen=True)
class Costs:
    """A pass costs a launch and its tokens, in units of the target's."""

    target_call: float
    target_token: float
    draft_call: float
    draft_token: float

    def target(self, tokens: int) -> float:
        return self.target_call + self.target_token * tokens

    def draft(self, tokens: int) -> float:
        return self.draft_call + self.draft_token * tokens


COSTS = {
    "latency_bound": Costs(target_call=1.0, target_token=0.0, draft_call=0.4, draft_token=0.0),
    "compute_bound": Costs(target_call=0.0, target_token=1.0, draft_call=0.0, draft_token=0.158),
}
"""latency_bound: a pass costs the same however many tokens it has; 0.4 is what VAR's authors give for d16 beside d30.
compute_bound: tokens alone count; 0.158 is the ratio of their multiply-accumulates."""


@dataclass
class Adaptive:
    """The g of the largest expected gain per cost: sum_i a^i (target alone at scale s + i) / (draft g, then judge g + 1).

    a = (1 + scales that stood) / (2 + scales judged), of this sample alone.
    """

    gamma: int
    """At most."""
    costs: Costs
    lengths: Sequence[int]
    stood: int = 0
    judged: int = 0

    def propose(self, scale: int) -> int:
        most = min(self.gamma, len(self.lengths) - 1 - scale)
        return max(range(most + 1), key=lambda g: (self.gain(scale, g), -g))

    def gain(self, scale: int, g: int) -> float:
        """Worth of what a round is expected to paint over its cost; 1 is the target alone."""
        a, lengths = (1 + self.stood) / (2 + self.judged), self.lengths[scale : scale + g + 1]
        worth = sum(a**i * self.costs.target(n) for i, n in enumerate(lengths))
        return worth / (sum(map(self.costs.draft, lengths[:g])) + self.costs.target(sum(lengths)))

    def saw(self, *, drafted: int, accepted: int) -> None:
        self.stood += accepted
        self.judged += min(accepted + 1, drafted)  # behind the first that fell nothing was judged


POLICIES: dict[str, Callable[[int, Costs, Sequence[int]], Gamma]] = {
    "fixed": lambda gamma, costs, lengths: Fixed(gamma),
    "seed": lambda gamma, costs, lengths: Seed(gamma),
    "adaptive": Adaptive,
}
