"""What whoever watches a run is told of every batch that its first process has made."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sdaccel.conditions import Batch
from sdaccel.predict import pl
from sdaccel.predict.after_batch import AfterBatch
from sdaccel.predict.data import Task


@dataclass(frozen=True)
class Made:
    """A batch, and how far the run is."""

    arm: str
    batch: Batch
    images: Tensor
    """(B, 3, H, W) in [0, 1]"""
    kept: int
    """Images that were on disk when the run began."""
    done: int
    """Images that this process has made since."""
    total: int
    """Images that were missing, of which other processes may make some."""
    rate: float
    """Images a second of this process."""


Watch = Callable[[Made], None]


class Tell(AfterBatch):
    def __init__(self, watch: Watch, *, total: int, kept: int) -> None:
        self.watch = watch
        self.total = total
        self.kept = kept
        self.done = 0
        self.started = time.monotonic()

    def made(self, trainer: pl.Trainer, task: Task, outputs: Any) -> None:
        self.done += len(task.batch.wanted)
        if trainer.is_global_zero:
            rate = self.done / (time.monotonic() - self.started)
            self.watch(Made(task.arm, task.batch, outputs.images, self.kept, self.done, self.total, rate))
