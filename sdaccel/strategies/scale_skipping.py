"""Leave out the last scales: the trivial rival of everything that makes them cheaper.

The canvas keeps what the earlier scales painted and is decoded as it is. The last two of VAR's ten scales are 63 % of the work.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from sdaccel.errors import BadInput
from sdaccel.generators.nextscale.seam import ScaleSeam
from sdaccel.strategies.base import Alone, Declares, Untold, strategy


@strategy(name="scale_skipping")
@dataclass(frozen=True)
class ScaleSkipping(Alone):
    last: int = 2
    """Scales at the end that are not run; 0 runs all."""

    declares: ClassVar[Declares] = Declares(seam="scales", exact=False)

    def check(self, steps: int) -> None:
        if not 0 <= self.last < steps:
            raise BadInput(f"strategy.last={self.last} is outside 0 .. {steps - 1}; of {steps} scales the first must run.")

    def plan(self, steps: int) -> list[str]:
        return ["full"] * (steps - self.last) + ["skip"] * self.last

    def start(self, seam: ScaleSeam, *, steps: int) -> "SkipRule":
        return SkipRule(seam, self.plan(steps))


@dataclass(frozen=True)
class SkipRule(Untold):
    """One generation."""

    seam: ScaleSeam
    plan: Sequence[str]

    def scale(self, scale: int) -> str:
        if self.plan[scale] == "full":
            self.seam.full(scale)
        return self.plan[scale]
