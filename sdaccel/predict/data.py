"""The batches of a run. Every process has the same list of them and takes the next one that nobody is at.

A batch is composed by index, so it is the same whoever makes it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pytorch_lightning as pl
from torch.utils.data import DataLoader, Sampler

from sdaccel.claims import Claims, free
from sdaccel.conditions import Batch
from sdaccel.samples import Samples


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

    def rest(self) -> "Task | None":
        """Without the samples that are on disk by now."""
        batch = self.batch
        rows = {row: i for row, i in batch.wanted.items() if not self.samples.finished(i, batch.conditions[row])}
        return replace(self, batch=replace(batch, wanted=rows)) if rows else None


class Free(Sampler[Task]):
    """Tasks as this process claims them."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.tasks = tasks

    def __iter__(self) -> Iterator[Task]:
        return free(self.tasks)

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
