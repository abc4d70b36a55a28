"""A sheet of pictures of a trained model: real ones, and beside them what the model makes of the same thing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sdaccel.predict.writer import to_uint8

COLUMNS = 8


@dataclass(frozen=True)
class Sheet:
    """What a task's `sheet(net, device)` returns."""

    conditions: list[str]
    """One per column."""
    rows: dict[str, Tensor]
    """Name -> (columns, 3, H, W) in [0, 1]."""


def draw(task: Any, net: Any, *, name: str, folder: Path, device: torch.device) -> list[Path]:
    """sheet.pdf and sheet.png in the folder, if the task makes pictures at all."""
    if not hasattr(task, "sheet"):
        return []
    from sdaccel.reporting import style
    from sdaccel.reporting.sample_sheet import sheet

    with torch.no_grad():
        made: Sheet = task.sheet(net, device)
    rows = [(row, list(to_uint8(images.clamp(0, 1)))) for row, images in made.rows.items()]
    with style.styled():
        return style.save(sheet(rows, made.conditions, title=f"{name}, on test scenes"), folder, "sheet")
