"""SDVAR's rule: enough of a scale's drafted tokens are the target's likeliest ones.

A drafted token is a draw, the likeliest one is not: two identical models fail, too, wherever the distribution is wide.
"""

from dataclasses import dataclass

from sdaccel.registry import configurable
from sdaccel.strategies.speculative.base import Speculative, check_share
from sdaccel.strategies.speculative.judge import Drafted, Verdict


@configurable(group="strategy", name="speculative_top1")
@dataclass(frozen=True, kw_only=True)
class Top1(Speculative):
    """A scale stands, as drafted, if the share of its tokens that are the target's argmax reaches the threshold."""

    threshold: float = 0.5

    def check(self, steps: int) -> None:
        super().check(steps)
        check_share("threshold", self.threshold)

    def judge(self, drafted: Drafted) -> Verdict:
        match = drafted.tokens == drafted.target.argmax(-1)
        return Verdict(match.double().mean(-1) >= self.threshold, lambda: drafted.own)
