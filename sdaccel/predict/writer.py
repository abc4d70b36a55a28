"""Write every wanted row of a prediction under its sample's own index, whatever process or batch it came from."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.callbacks import BasePredictionWriter
from torch import Tensor

from sdaccel.conditions import Batch
from sdaccel.generators.base import Generation
from sdaccel.samples import Samples


def to_uint8(images: Tensor) -> np.ndarray:
    """(B, 3, H, W) in [0, 1] to (B, H, W, 3), rounded to nearest."""
    return images.mul(255).round().byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()


class SampleWriter(BasePredictionWriter):
    def __init__(self, samples: Samples) -> None:
        super().__init__(write_interval="batch")
        self.samples = samples

    def write_on_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        prediction: Generation,
        batch_indices: Sequence[int] | None,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        images = to_uint8(prediction.images)
        arrays: dict[str, Any] = {name: array.cpu().numpy() for name, array in prediction.arrays.items()}
        for row, index in batch.wanted.items():
            self.samples.write(
                index,
                condition=batch.conditions[row],
                image=images[row],
                kinds=prediction.kinds,
                arrays={name: array[row] for name, array in arrays.items()},
                stats={name: rounded(values[row]) for name, values in prediction.stats.items()},
            )


def rounded(values: Tensor) -> Any:
    """Integers as they are, other numbers to six digits, None where there is none: as JSON holds them."""
    if not values.is_floating_point():
        return values.tolist()
    if values.ndim == 0:
        return float(f"{values:.6g}") if values.isfinite() else None
    return [rounded(value) for value in values]
