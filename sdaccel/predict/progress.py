"""One bar over all samples of a run on a terminal, plain lines elsewhere; both with images/s and the time left."""

import time
from typing import Any

import pytorch_lightning as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sdaccel.conditions import Batch

LINE_EVERY = 10.0
"""Seconds between plain lines."""


class ShowProgress(pl.Callback):
    """Counts the samples of this process; only rank 0 speaks, for its own share."""

    def __init__(self, console: Console, *, total: int) -> None:
        self.console = console
        self.total = total
        self.done = 0
        self.arm = ""
        self.started = self.spoke = time.monotonic()
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:.2f} images/s"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self.task = self.bar.add_task("", total=total, rate=0.0)

    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self.done += len(batch.wanted)
        if not trainer.is_global_zero:
            return
        now = time.monotonic()
        rate = self.done / (now - self.started)
        self.bar.update(self.task, completed=self.done, description=self.arm, rate=rate)
        if not self.console.is_terminal and (now - self.spoke > LINE_EVERY or self.done >= self.total):
            self.spoke = now
            left = (self.total - self.done) / rate if rate else 0.0
            self.console.print(f"{self.done}/{self.total} images · {rate:.2f} images/s · {left:.0f} s left · {self.arm}")
