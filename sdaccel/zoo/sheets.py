"""A sheet of pictures of a trained model: real ones, and beside them what the model makes of the same thing."""

from dataclasses import dataclass

from torch import Tensor

COLUMNS = 8


@dataclass(frozen=True)
class Sheet:
    """What a task's `sheet(net, device)` returns."""

    conditions: list[str]
    """One per column."""
    rows: dict[str, Tensor]
    """Name -> (columns, 3, H, W) in [0, 1]."""
