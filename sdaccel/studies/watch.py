"""What whoever watches a run is told of every batch that its first process has made."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sdaccel.conditions import Batch
from sdaccel.predict import pl
from sdaccel.predict.progress import ShowProgress


@dataclass(frozen=True)
class Made:
    """A batch, and how far the process is; of several processes each counts its own share."""

    arm: str
    batch: Batch
    images: Tensor
    """(B, 3, H, W) in [0, 1]"""
    kept: int
    """Images that were on disk when the run began, of all processes."""
    done: int
    total: int
    rate: float
    """Images a second."""


Watch = Callable[[Made], None]


class Tell(pl.Callback):
    """Stands behind the progress that counts."""

    def __init__(self, watch: Watch, arm: str, progress: ShowProgress, *, kept: int) -> None:
        self.watch = watch
        self.arm = arm
        self.progress = progress
        self.kept = kept

    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if trainer.is_global_zero:
            done, total = self.progress.done, self.progress.total
            rate = done / (time.monotonic() - self.progress.started)
            self.watch(Made(self.arm, batch, outputs.images, self.kept, done, total, rate))
