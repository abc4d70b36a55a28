"""Relaxed rejection by look-alike codes (LANTERN, arXiv 2410.03355): a token stands for all codes near its own.

N(x) the codes nearest to x, itself among them · a drafted x stands with probability min(1, p(N(x)) / q(x))

Its p is the target's probability after the filters. A token that stands is kept as drafted, so the distribution moves towards
the draft's within neighbourhoods.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sdaccel.conditions import Condition
from sdaccel.errors import BadInput
from sdaccel.noise import Stream, uniform
from sdaccel.strategies.base import strategy
from sdaccel.strategies.speculative.base import ByShare
from sdaccel.strategies.speculative.distributions import at, probabilities
from sdaccel.strategies.speculative.judge import Drafted
from sdaccel.strategies.speculative.rejection import stands

ROUNDING = 1e-6
"""Relative: what two computations of one probability may differ by."""


@strategy(name="speculative_neighbourhood")
@dataclass(frozen=True, kw_only=True)
class Neighbourhood(ByShare):
    """A scale stands, as drafted, if the share of its tokens that stand reaches the threshold."""

    neighbours: int = 10
    """Codes of a neighbourhood beside its own."""

    def fits(self, target: Any, conditions: Sequence[Condition]) -> None:
        super().fits(target, conditions)
        if not 0 <= self.neighbours < target.vocab:
            raise BadInput(f"strategy.neighbours={self.neighbours} is outside 0 .. {target.vocab - 1}, the other codes.")

    def passes(self, drafted: Drafted) -> Tensor:
        p, q = (probabilities(logits, drafted.sampling) for logits in (drafted.target, drafted.draft))
        near = nearest(drafted.codebook, self.neighbours + 1)[drafted.tokens]
        mass = p.gather(-1, near).sum(-1) * (1 + ROUNDING)
        u = uniform(drafted.seeds, Stream.ACCEPT, drafted.tokens.shape[1:], start=drafted.start)
        return stands(u, mass, at(q, drafted.tokens))


def nearest(codebook: Tensor, count: int) -> Tensor:
    """Indices (V, count) of the codes nearest to each, its own first."""
    distance = torch.cdist(codebook.double(), codebook.double())
    distance.fill_diagonal_(-1)
    return distance.topk(count, largest=False).indices
