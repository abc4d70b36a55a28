"""The neutral choices: every step in full, every operator as the generator wrote it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sdaccel.generators.base import Cost
from sdaccel.registry import configurable


@configurable(group="strategy", name="original")
@dataclass(frozen=True)
class Original:
    """No acceleration. Attaches nothing, so a run with it is the generator alone."""

    @property
    def seam(self) -> str | None:
        return None

    def plan(self, steps: int) -> list[str]:
        return ["full"] * steps

    def check(self, steps: int) -> None:
        """Always fits."""

    def start(self, seam: Any, *, steps: int) -> None:
        """No rule: the loop does what it always does."""


@configurable(group="backend", name="dense")
@dataclass(frozen=True)
class Dense:
    """Dense operators."""

    def check(self, generator: Any) -> None:
        """Fits every generator."""

    def macs(self, generator: Any, cost: Cost, kinds: Sequence[str]) -> list[float]:
        """Multiply-accumulates of every step of one sample, whose kinds are these."""
        return cost.macs_of(kinds)

    @contextmanager
    def attached(self, model: Any, *, grid: Sequence[int], seeds: Tensor) -> Iterator[None]:
        """No operators: the model stays as it is."""
        yield
