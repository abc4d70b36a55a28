"""Enough of a scale's drafted tokens are among the k that the target finds likeliest."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sdaccel.conditions import Condition
from sdaccel.errors import BadInput
from sdaccel.registry import configurable
from sdaccel.strategies.speculative.base import Speculative, check_share
from sdaccel.strategies.speculative.distributions import at
from sdaccel.strategies.speculative.judge import Drafted, Verdict


@configurable(group="strategy", name="speculative_topk")
@dataclass(frozen=True, kw_only=True)
class TopK(Speculative):
    """A scale stands, as drafted, if the share of its tokens among the target's `k` likeliest reaches the threshold."""

    k: int = 10
    threshold: float = 0.8

    def check(self, steps: int) -> None:
        super().check(steps)
        check_share("threshold", self.threshold)

    def check_models(self, target: Any, conditions: Sequence[Condition]) -> None:
        super().check_models(target, conditions)
        if not 1 <= self.k <= target.vocab:
            raise BadInput(f"strategy.k={self.k} is outside 1 .. {target.vocab}, the vocabulary.")

    def judge(self, drafted: Drafted) -> Verdict:
        kth = drafted.target.topk(self.k, dim=-1).values[..., -1]
        among = at(drafted.target, drafted.tokens) >= kth
        return Verdict(among.double().mean(-1) >= self.threshold, lambda: drafted.own)
