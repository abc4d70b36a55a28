"""What a study has of an arm that has run: its samples on disk, their price, and its metrics once they are measured."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from PIL import Image

from sdaccel.metrics.aggregate import Scores
from sdaccel.samples import Samples
from sdaccel.strategies.base import Done
from sdaccel.studies.arms import Arm, Price
from sdaccel.studies.held import Held
from sdaccel.threads import mapped


@dataclass(frozen=True)
class Result:
    """An arm that has run."""

    arm: Arm
    samples: Samples
    rows: Sequence[int]
    """Indices of those that are looked at."""
    macs: float = 0.0
    """Multiply-accumulates of the steps that ran, for one sample."""
    price: Price | None = None
    """Of its models, once it has run."""
    metrics: Scores = field(default_factory=Scores)
    held: Held = field(default_factory=Held, compare=False)
    """Pictures in memory, of all results of a run."""

    def priced(self, price: Price) -> "Result":
        """With what it did, on average where samples differ."""
        entries = self.entries() if price.beside else [self.first()]  # without models beside, all samples are alike
        each = [self._macs(price, entry) for entry in entries]
        return replace(self, macs=sum(each) / len(each), price=price)

    def _macs(self, price: Price, entry: dict[str, Any]) -> float:
        steps = self.arm.backend.macs(self.arm.generator, price.generator, entry["kinds"])
        macs: float = self.arm.strategy.macs(Done(steps, price.generator, price.beside, entry.get("stats", {})))
        return macs

    def arrays(self, name: str) -> list[np.ndarray]:
        return [self.samples.array(i, name) for i in self.rows]

    def images(self) -> Iterator[np.ndarray]:
        return self.held.read(
            str(self.samples.folder), lambda: mapped(lambda i: np.asarray(Image.open(self.samples.image(i))), self.rows)
        )

    def part(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """So many of its images; all of them are held as ever."""
        if start == 0 and stop >= len(self.rows):
            return self.images()
        return replace(self, rows=self.rows[start:stop], held=Held()).images()

    def first(self) -> dict[str, Any]:
        """The entry of the first sample, where all are alike."""
        return self.samples.entry(self.rows[0])

    def entries(self) -> list[dict[str, Any]]:
        return [self.samples.entry(i) for i in self.rows]
