"""Speculative rejection sampling (Leviathan et al., arXiv 2211.17192; Chen et al., arXiv 2302.01318) for scales.

p target, q draft, after guidance and filters · x drafted · u acceptance uniform

Given the canvas, the tokens of a scale are independent: each stands with probability min(1, p(x) / q(x)), and one that falls is
drawn from norm((p - q)+), so that the scale has the target's distribution whatever was drafted. The next scale was drafted on
x: it counts only if every token of this one stood. Draft race, acceptance and residual race have streams of their own.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from sdaccel.noise import Stream, exponential, uniform
from sdaccel.strategies.base import Declares, strategy
from sdaccel.strategies.speculative.base import EXACT, Speculative
from sdaccel.strategies.speculative.distributions import at, probabilities
from sdaccel.strategies.speculative.judge import Acceptance, Drafted

NO_RESIDUAL = 1e-6
"""Below this mass p and q differ by rounding alone: the token stands, for there is nothing to draw another one from."""


@strategy(name="speculative_rejection")
@dataclass(frozen=True, kw_only=True)
class Rejection(Speculative):
    """A scale stands if every token does."""

    declares: ClassVar[Declares] = EXACT

    def judge(self, drafted: Drafted) -> Acceptance:
        p, q = (probabilities(logits, drafted.sampling) for logits in (drafted.target, drafted.draft))
        residual = (p - q).clamp_min(0)
        u = uniform(drafted.seeds, Stream.ACCEPT, drafted.tokens.shape[1:], start=drafted.start)
        stood = stands(u, at(p, drafted.tokens), at(q, drafted.tokens)) | (residual.sum(-1) < NO_RESIDUAL)

        def replace() -> tuple[Tensor, Tensor]:
            length, vocab = p.shape[1:]
            noise = exponential(drafted.seeds, Stream.RESIDUAL, (length, vocab), start=drafted.start * vocab)
            tokens = drafted.tokens.where(stood, (residual / noise).argmax(-1))
            return tokens, drafted.codes(tokens)

        return Acceptance(stood.all(-1), replace)


def stands(u: Tensor, p: Tensor, q: Tensor) -> Tensor:
    """u <= p / q without a division: q may be 0 where rounding moved a filter's edge."""
    return u * q <= p
