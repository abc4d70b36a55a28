"""The Lightning module that generates: one generator, one backend, one strategy at a time, predict only."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytorch_lightning as pl

from sdaccel.conditions import Batch
from sdaccel.generators.base import Generation
from sdaccel.predict.data import Task


@dataclass(frozen=True)
class Ready:
    """An arm that can generate."""

    runtime: Any
    backend: Any
    strategy: Any
    keep: list[str]
    images_before: int

    def generate(self, batch: Batch) -> Generation:
        """The batch; with `images_before`, after that many others: state that outlives an image shows in the next."""
        for n in range(self.images_before, 0, -1):
            self._one(replace(batch, seeds=batch.seeds ^ n))
        return self._one(batch)

    def _one(self, batch: Batch) -> Generation:
        return self.runtime.generate(batch, backend=self.backend, strategy=self.strategy, keep=self.keep)


class Predict(pl.LightningModule):
    """Generate every batch it is given, by the arm it belongs to: no process waits for another between arms."""

    def __init__(self, arm: Callable[[str], Ready]) -> None:
        super().__init__()
        self.arm = arm  # no submodule: Lightning would carry its weights to the host at the end

    def predict_step(self, task: Task, batch_idx: int) -> Generation:
        return self.arm(task.arm).generate(task.batch)
