"""Enough of a scale's drafted tokens are among the k that the target finds likeliest."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sdaccel.conditions import Condition
from sdaccel.errors import BadInput
from sdaccel.strategies.base import strategy
from sdaccel.strategies.speculative.base import ByShare
from sdaccel.strategies.speculative.distributions import at
from sdaccel.strategies.speculative.judge import Drafted


@strategy(name="speculative_topk")
@dataclass(frozen=True, kw_only=True)
class TopK(ByShare):
    """A scale stands, as drafted, if the share of its tokens among the target's `k` likeliest reaches the threshold."""

    k: int = 10

    def fits(self, target: Any, conditions: Sequence[Condition]) -> None:
        super().fits(target, conditions)
        if not 1 <= self.k <= target.vocab:
            raise BadInput(f"strategy.k={self.k} is outside 1 .. {target.vocab}, the vocabulary.")

    def passes(self, drafted: Drafted) -> Tensor:
        kth = drafted.target.topk(self.k, dim=-1).values[..., -1]
        return at(drafted.target, drafted.tokens) >= kth
