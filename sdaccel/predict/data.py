"""The batches of a run. Every process has the same list of them and takes the next one that nobody is at.

A batch is composed by index, so it is the same whoever makes it. Nobody waits for another while there is a batch left, and a
process that ends without finishing its batch leaves it to the others.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pytorch_lightning as pl
from torch.utils.data import DataLoader, Sampler

from sdaccel.claims import Claims
from sdaccel.conditions import Batch
from sdaccel.samples import Samples

POLL = 0.05
"""Seconds between two looks at batches that others are at, once there are no more free ones."""


@dataclass(frozen=True)
class Task:
    """A batch of one arm."""

    arm: str
    batch: Batch
    samples: Samples
    claims: Claims

    @property
    def place(self) -> int:
        """Index of its first row."""
        row, index = next(iter(self.batch.wanted.items()))
        return index - row

    def unfinished(self) -> dict[int, int]:
        """Row -> index of what is not on disk by now."""
        conditions = self.batch.conditions
        return {row: i for row, i in self.batch.wanted.items() if not self.samples.finished(i, conditions[row])}

    def left(self, *, finished: int = 0) -> None:
        self.claims.leave(self.place, finished=finished)


class Free(Sampler[Task]):
    """Tasks as this process claims them, one at a time; it ends when all are done, by whomever."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.tasks = tasks

    def __iter__(self) -> Iterator[Task]:
        waiting = list(self.tasks)
        while waiting:
            busy = []
            for task in waiting:
                if not task.claims.take(task.place):
                    busy.append(task)
                elif rows := task.unfinished():
                    yield replace(task, batch=replace(task.batch, wanted=rows))
                else:
                    task.left()
            waiting = busy
            if waiting:
                time.sleep(POLL)

    def __len__(self) -> int:
        """At most so many: a loader without a length would claim a batch ahead of the one it is at."""
        return len(self.tasks)


class Conditions(pl.LightningDataModule):
    """Whole batches, already of fixed shape."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        super().__init__()
        self.tasks = tasks

    def predict_dataloader(self) -> DataLoader:
        return DataLoader(_Itself(), sampler=Free(self.tasks), batch_size=None, collate_fn=_as_is)  # type: ignore[arg-type]

    def transfer_batch_to_device(self, batch: Task, device: object, dataloader_idx: int) -> Task:
        """Seeds stay where the noise functions expect them; the generator moves what it needs."""
        return batch


class _Itself:
    """A data set whose keys are its items."""

    def __getitem__(self, task: Task) -> Task:
        return task


def _as_is(task: Task) -> Task:
    return task
