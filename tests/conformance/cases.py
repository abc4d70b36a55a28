"""Golden cases: figures in the format of goldens/README.md, compared array by array."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

GOLDENS = Path(__file__).parent / "goldens"


@dataclass(frozen=True)
class Line:
    """One compared array: it passes while error <= tolerance (NaN never passes)."""

    array: str
    error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        return bool(self.error <= self.tolerance)


@dataclass(frozen=True)
class Case:
    name: str
    meta: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    folder: Path = GOLDENS
    """Where the case came from, for files that several cases share."""

    @staticmethod
    def load(path: Path) -> "Case":
        """NAME.json with the arrays of NAME.npz beside it, if there are any."""
        meta = json.loads(path.read_text())
        npz = path.with_suffix(".npz")
        arrays: dict[str, np.ndarray] = {}
        if npz.exists():
            with npz.open("rb") as file:  # closed even where numpy fails on it
                arrays = dict(np.load(file))
        return Case(meta.get("case", path.stem), meta, arrays, path.parent)
