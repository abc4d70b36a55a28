"""Coupled speculation: draft and target race on the same noise, so a match means identity.

Exact in the strongest sense: the tokens are those that the target draws without a draft, whatever the draft, gamma and batch. A
token matches with probability of at least (1 - TV) / (1 + TV).
"""

from dataclasses import dataclass
from typing import ClassVar

from sdaccel.strategies.base import Declares, strategy
from sdaccel.strategies.speculative.base import EXACT, Speculative
from sdaccel.strategies.speculative.judge import Acceptance, Drafted


@strategy(name="speculative_coupled")
@dataclass(frozen=True, kw_only=True)
class Coupled(Speculative):
    """A scale stands if all its tokens are the target's own."""

    declares: ClassVar[Declares] = EXACT

    def judge(self, drafted: Drafted) -> Acceptance:
        return Acceptance((drafted.tokens == drafted.own[0]).all(-1), lambda: drafted.own)
