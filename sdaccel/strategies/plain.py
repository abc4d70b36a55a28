"""The neutral choices: every step in full, every operator as the generator wrote it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from sdaccel.generators.base import Cost
from sdaccel.strategies.base import Alone, Declares, backend, strategy


@strategy(name="original")
@dataclass(frozen=True)
class Original(Alone):
    """No acceleration. Attaches nothing, so a run with it is the generator alone."""

    declares: ClassVar[Declares] = Declares(seam=None, exact=True)

    def plan(self, steps: int) -> list[str]:
        return ["full"] * steps

    def check(self, steps: int) -> None:
        """Always fits."""

    def start(self, seam: Any, *, steps: int) -> None:
        """No rule: the loop does what it always does."""


@backend(name="dense")
@dataclass(frozen=True)
class Dense:
    """Dense operators."""

    def check(self, generator: Any) -> None:
        """Fits every generator."""

    def macs(self, generator: Any, cost: Cost, kinds: Sequence[str]) -> list[float]:
        return cost.macs_of(kinds)

    def state_bytes(self, generator: Any, itemsize: int) -> int:
        return 0

    def start(self, *, layers: int, grid: Sequence[int], seeds: Tensor) -> None:
        """No operators: the model stays as it is."""
