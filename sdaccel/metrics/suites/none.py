"""No metrics beside the pixels that every record compares."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sdaccel.metrics.suite import Scorer
from sdaccel.registry import configurable


@configurable(group="metrics", name="none")
@dataclass(frozen=True)
class Nothing:
    """Nothing is measured."""

    def check(self, conditions: Sequence[int | str]) -> None:
        """Always fits."""

    def identity(self) -> dict[str, Any]:
        return {}

    def names(self, conditions: Sequence[int | str]) -> tuple[str, ...]:
        return ()

    def scorers(self, conditions: Sequence[int | str], *, size: int, device: torch.device, cache: Path) -> Sequence[Scorer]:
        return ()
