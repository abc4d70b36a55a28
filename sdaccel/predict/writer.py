"""Write every wanted row of a prediction under its sample's own index, whatever process or batch it came from.

Threads write one batch while the next one is made: waiting for the disk is most of what writing costs.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.callbacks import BasePredictionWriter
from torch import Tensor

from sdaccel.generators.base import Generation
from sdaccel.predict.data import Task
from sdaccel.threads import mapped


def to_uint8(images: Tensor) -> np.ndarray:
    """(B, 3, H, W) in [0, 1] to (B, H, W, 3), rounded to nearest."""
    return images.mul(255).round().byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()


class SampleWriter(BasePredictionWriter):
    def __init__(self) -> None:
        super().__init__(write_interval="batch")
        self.thread: ThreadPoolExecutor | None = None
        self.writing: Future[None] | None = None

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.thread = ThreadPoolExecutor(max_workers=1)

    def write_on_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        prediction: Generation,
        batch_indices: Sequence[int] | None,
        batch: Task,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        images = to_uint8(prediction.images)
        arrays = {name: array.cpu().numpy() for name, array in prediction.arrays.items()}
        stats = {name: values.cpu() for name, values in prediction.stats.items()}
        self._wait()
        assert self.thread is not None, "on_predict_start comes first"
        self.writing = self.thread.submit(self._write, batch, images, prediction.kinds, arrays, stats)

    def _write(
        self, task: Task, images: np.ndarray, kinds: list[str], arrays: dict[str, np.ndarray], stats: dict[str, Tensor]
    ) -> None:
        """The task is left when all of it is on disk."""
        wanted = task.batch.wanted

        def write(of: tuple[int, int]) -> None:
            row, index = of
            task.samples.write(
                index,
                condition=task.batch.conditions[row],
                image=images[row],
                kinds=kinds,
                arrays={name: array[row] for name, array in arrays.items()},
                stats={name: rounded(values[row]) for name, values in stats.items()},
            )

        for _ in mapped(write, wanted.items()):
            pass
        task.claims.leave(task.place, finished=len(wanted))

    def _wait(self) -> None:
        """The batch before is on disk; what went wrong with it is raised here."""
        if self.writing is not None:
            self.writing.result()
            self.writing = None

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._end()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._end()

    def _end(self) -> None:
        """Everything is on disk and the thread is gone."""
        if self.thread is not None:
            self.thread.shutdown()
        self._wait()


def rounded(values: Tensor) -> Any:
    """Integers as they are, other numbers to six digits, None where there is none: as JSON holds them."""
    if not values.is_floating_point():
        return values.tolist()
    if values.ndim == 0:
        return float(f"{values:.6g}") if values.isfinite() else None
    return [rounded(value) for value in values]
