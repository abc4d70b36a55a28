"""Draft and target say nearly the same of a scale: mean KL(p || q) of the guided, unfiltered logits is small.

The drafted tokens themselves are not looked at.
"""

import math
from dataclasses import dataclass

from sdaccel.errors import BadInput
from sdaccel.strategies.base import strategy
from sdaccel.strategies.speculative.base import Speculative
from sdaccel.strategies.speculative.distributions import kl
from sdaccel.strategies.speculative.judge import Acceptance, Drafted

ROUNDING = 1e-6
"""Nats by which two computations of one distribution may differ."""


@strategy(name="speculative_kl")
@dataclass(frozen=True, kw_only=True)
class Divergence(Speculative):
    """A scale stands, as drafted, if the mean over its tokens reaches at most max_kl."""

    max_kl: float = 0.1
    """Nats."""

    def check(self, steps: int) -> None:
        super().check(steps)
        if not (math.isfinite(self.max_kl) and self.max_kl >= 0):
            raise BadInput(f"strategy.max_kl={self.max_kl} must be a finite number of nats >= 0.")

    def judge(self, drafted: Drafted) -> Acceptance:
        return Acceptance(kl(drafted.target, drafted.draft).mean(-1) <= self.max_kl + ROUNDING, lambda: drafted.own)
