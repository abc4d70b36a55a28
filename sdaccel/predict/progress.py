"""How far a phase of a run is: a bar on a terminal, plain lines elsewhere, both with the time left."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import pytorch_lightning as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from sdaccel.predict.after_batch import AfterBatch
from sdaccel.predict.data import Task

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

    @property
    def due(self) -> bool:
        """It is time to speak again."""
        return self.console.is_terminal or time.monotonic() - self.spoke > LINE_EVERY

    def advance(self, what: str) -> None:
        """One more is done, and was of `what`."""
        self.reach(self.done + 1, what)

    def reach(self, done: int, what: str) -> None:
        """So many are done, the last of them of `what`."""
        new, self.done = done > self.done, done
        if new and (self.due or done >= self.total):
            self._speak(what)

    def _speak(self, what: str) -> None:
        self.spoke = time.monotonic()
        rate = self.done / max(self.spoke - self.started, 1e-9)
        left = f"{rate:.2f} {self.unit}/s · {(self.total - self.done) / rate:.0f} s left"
        self.bar.update(self.task, completed=self.done, description=f"{self.name} {what}", left=left, refresh=True)
        if not self.console.is_terminal:
            self.console.print(f"{self.name} {self.done}/{self.total} {self.unit} · {left} · {what}")


class ShowProgress(AfterBatch):
    """What all processes have finished, as the store tells it; only the first one speaks."""

    def __init__(self, phase: Phase, *, finished: Callable[[], int]) -> None:
        self.phase = phase
        self.finished = finished
        self.before = finished()

    def made(self, trainer: pl.Trainer, task: Task, outputs: Any) -> None:
        if trainer.is_global_zero and self.phase.due:
            self._speak(task.arm)

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            self._speak("all arms")

    def _speak(self, of: str) -> None:
        self.phase.reach(min(self.finished() - self.before, self.phase.total), of)
