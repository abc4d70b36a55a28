"""The batches of a run, dealt to the processes in turn."""

from collections.abc import Sequence
from dataclasses import replace

import pytorch_lightning as pl
from torch.utils.data import DataLoader

from sdaccel.conditions import Batch


def dealt(batches: Sequence[Batch], *, rank: int, world: int) -> list[Batch]:
    """Process `rank` of `world` takes batches rank, rank + world, ...; one without any repeats the first and keeps nothing,
    since every process must take part."""
    return list(batches[rank::world]) or [replace(batches[0], wanted={})]


class Conditions(pl.LightningDataModule):
    """Whole batches, already of fixed shape."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        super().__init__()
        self.batches = batches

    def predict_dataloader(self) -> DataLoader:
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        own = dealt(self.batches, rank=rank, world=world)
        return DataLoader(own, batch_size=None, collate_fn=_as_is)  # type: ignore[arg-type]

    def transfer_batch_to_device(self, batch: Batch, device: object, dataloader_idx: int) -> Batch:
        """Seeds stay where the noise functions expect them; the generator moves what it needs."""
        return batch


def _as_is(batch: Batch) -> Batch:
    return batch
