"""SDVAR's rule: enough of a scale's drafted tokens are the target's likeliest ones.

A drafted token is a draw, the likeliest one is not: two identical models fail, too, wherever the distribution is wide.
"""

from dataclasses import dataclass

from torch import Tensor

from sdaccel.strategies.base import strategy
from sdaccel.strategies.speculative.base import ByShare
from sdaccel.strategies.speculative.judge import Drafted


@strategy(name="speculative_top1")
@dataclass(frozen=True, kw_only=True)
class Top1(ByShare):
    """A scale stands, as drafted, if the share of its tokens that are the target's argmax reaches the threshold."""

    threshold: float = 0.5

    def passes(self, drafted: Drafted) -> Tensor:
        return drafted.tokens == drafted.target.argmax(-1)
