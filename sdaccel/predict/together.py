"""What processes of one run have to do with each other: they agree at its start, and each keeps its own time."""

import time
from typing import Any

import pytorch_lightning as pl
import torch

from sdaccel.errors import BadInput
from sdaccel.predict.after_batch import AfterBatch
from sdaccel.predict.data import Task


class Agree(pl.Callback):
    """Refuse processes that would make other samples than the first one, or put them elsewhere."""

    def __init__(self, folders: list[str]) -> None:
        self.folders = folders

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if trainer.world_size == 1:
            return
        said: list[Any] = [None] * trainer.world_size
        torch.distributed.all_gather_object(said, self.folders)
        for rank, folders in enumerate(said):
            if folders != said[0]:
                raise BadInput(
                    f"process {rank} would make other samples than process 0 ({folders} in place of {said[0]}): its device, "
                    "its code or its files differ; use equal machines, and one file system."
                )


class Clock(AfterBatch):
    """When every batch of this process began and ended, in seconds since 1970, and how many samples it had."""

    def __init__(self) -> None:
        self.began = 0.0
        self.batches: list[tuple[float, float, int]] = []

    def on_predict_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Task, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self.began = time.time()

    def made(self, trainer: pl.Trainer, task: Task, outputs: Any) -> None:
        self.batches.append((self.began, time.time(), len(task.batch.wanted)))
