"""One bar over all samples of a run on a terminal, plain lines elsewhere; both with images/s and the time left."""

import time
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sdaccel.predict.data import Task

LINE_EVERY = 10.0
"""Seconds between plain lines."""


class ShowProgress(pl.Callback):
    """What all processes have finished, as the store tells it; only the first one speaks."""

    def __init__(self, console: Console, *, total: int, finished: Callable[[], int]) -> None:
        self.console = console
        self.total = total
        self.finished = finished
        self.before = finished()
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
        batch: Task,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if trainer.is_global_zero and (self.console.is_terminal or time.monotonic() - self.spoke > LINE_EVERY):
            self._speak(batch.arm)

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            self._speak("all arms")

    def _speak(self, of: str) -> None:
        now, done = time.monotonic(), min(self.finished() - self.before, self.total)
        rate = done / (now - self.started)
        self.bar.update(self.task, completed=done, description=of, rate=rate)
        self.spoke = now
        if not self.console.is_terminal:
            left = (self.total - done) / rate if rate else 0.0
            self.console.print(f"{done}/{self.total} images · {rate:.2f} images/s · {left:.0f} s left · {of}")
