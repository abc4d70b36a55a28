"""How far a phase of a run is: a bar on a terminal, plain lines elsewhere, both with the time left."""

import time
from types import TracebackType
from typing import Any

import pytorch_lightning as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from sdaccel.conditions import Batch

LINE_EVERY = 10.0
"""Seconds between plain lines."""


class Phase:
    """Counts what is done of a known total, and speaks only when told of progress: nothing runs beside what is timed."""

    def __init__(self, console: Console, name: str, *, total: int, unit: str) -> None:
        self.console, self.name, self.total, self.unit = console, name, total, unit
        self.done = 0
        self.started = self.spoke = time.monotonic()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))
        self.bar = Progress(*columns, console=console, disable=not console.is_terminal, auto_refresh=False)
        self.task = self.bar.add_task(name, total=total, left="")

    def __enter__(self) -> "Phase":
        self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.bar.stop()

    def advance(self, what: str, by: int = 1) -> None:
        """So many more are done, the last of them of `what`."""
        self.done += by
        now = time.monotonic()
        rate = self.done / max(now - self.started, 1e-9)
        left = f"{rate:.2f} {self.unit}/s · {(self.total - self.done) / rate:.0f} s left"
        self.bar.update(self.task, completed=self.done, description=f"{self.name} {what}", left=left, refresh=True)
        if not self.console.is_terminal and (now - self.spoke > LINE_EVERY or self.done >= self.total):
            self.spoke = now
            self.console.print(f"{self.name} {self.done}/{self.total} {self.unit} · {left} · {what}")


class ShowProgress(pl.Callback):
    """Counts the samples of this process; only rank 0 speaks, for its own share."""

    def __init__(self, phase: Phase) -> None:
        self.phase = phase
        self.arm = ""

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
            self.phase.advance(self.arm, len(batch.wanted))
