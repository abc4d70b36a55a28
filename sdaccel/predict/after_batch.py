"""Lightning's hook behind every batch of a process, with what its listeners here look at."""

from typing import Any

import pytorch_lightning as pl

from sdaccel.predict.data import Task


class AfterBatch(pl.Callback):
    """Is told of every batch that this process has made."""

    def made(self, trainer: pl.Trainer, task: Task, outputs: Any) -> None:
        """Its pictures are there, and may still be on their way to the disk."""

    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Task,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self.made(trainer, batch, outputs)
