"""The Lightning module that generates: one generator, one backend, one strategy, predict only."""

from dataclasses import replace
from typing import Any

import pytorch_lightning as pl

from sdaccel.conditions import Batch
from sdaccel.generators.base import Generation


class Predict(pl.LightningModule):
    """Generate every batch it is given."""

    def __init__(self, runtime: Any, *, backend: Any, strategy: Any, keep: list[str], images_before: int) -> None:
        super().__init__()
        self.held = (runtime,)  # no submodule: Lightning would carry its weights to the host after every arm
        self.backend = backend
        self.strategy = strategy
        self.keep = keep
        self.images_before = images_before

    def predict_step(self, batch: Batch, batch_idx: int) -> Generation:
        """The batch; with `images_before`, after that many others: state that outlives an image shows in the next."""
        for n in range(self.images_before, 0, -1):
            self._generate(replace(batch, seeds=batch.seeds ^ n))
        return self._generate(batch)

    def _generate(self, batch: Batch) -> Generation:
        return self.held[0].generate(batch, backend=self.backend, strategy=self.strategy, keep=self.keep)
