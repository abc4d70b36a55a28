"""What speculation could win: the draft is asked at every scale and never believed, so all is seen on the target's own path.

A rule that accepts sees the later scales only of the samples whose earlier ones stood, and those are the easy ones.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch

from sdaccel.strategies.base import Declares, strategy
from sdaccel.strategies.speculative.base import EXACT, Speculative
from sdaccel.strategies.speculative.judge import Acceptance, Drafted


@strategy(name="speculative_profile")
@dataclass(frozen=True, kw_only=True)
class Profile(Speculative):
    """No scale stands: the samples are the target's, and the record says how far the draft is from them."""

    gamma: int = 1
    """More are drafted in vain: nothing is judged behind the first that fell, and the first always does."""
    distances: bool = True

    declares: ClassVar[Declares] = EXACT
    supposed: ClassVar[float] = 0.0

    def judge(self, drafted: Drafted) -> Acceptance:
        return Acceptance(torch.zeros(len(drafted.tokens), dtype=torch.bool, device=drafted.tokens.device), lambda: drafted.own)
