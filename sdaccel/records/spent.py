"""Where a process of a run spends its time: beside the record, for whoever asks how several processes share the work."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sdaccel import processes
from sdaccel.samples import atomic_write, canonical

FOLDER = "processes"


@dataclass
class Spent:
    """Moments are seconds since 1970, so that those of several processes of a machine can be compared."""

    moments: dict[str, float] = field(default_factory=dict)
    """By what ended then: `planned`, `generated`, `measured`."""
    building: float = 0.0
    """Seconds of making models."""
    batches: Sequence[tuple[float, float, int]] = ()
    """Beginning, end and samples of each."""

    def mark(self, name: str) -> None:
        self.moments[name] = time.time()

    def generated(self, batches: Sequence[tuple[float, float, int]], *, building: float) -> None:
        self.mark("generated")
        self.batches, self.building = batches, building

    def save(self, run: Path) -> None:
        """As the part of this process, in the folder of the run."""
        folder = run / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(folder / f"{processes.rank()}.json", canonical(asdict(self)))


def of_run(run: Path) -> list[Spent]:
    """Of every process, in their order."""
    files = sorted((run / FOLDER).iterdir(), key=lambda file: int(file.stem))
    return [Spent(**json.loads(file.read_bytes())) for file in files]
