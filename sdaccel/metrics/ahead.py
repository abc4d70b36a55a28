"""Features computed part by part before the scores, by all processes of a study: a part belongs to whoever claims it.

Parts are cut by index, in whole batches of the networks, so a feature has the same bits whoever computes it.
"""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from sdaccel.claims import Claims, free
from sdaccel.metrics.features import part_of
from sdaccel.metrics.pictures import BATCH, Pictures

PART = 4 * BATCH
"""Pictures."""


@runtime_checkable
class Reads(Protocol):
    """A scorer that keeps features of single pictures on disk."""

    def features(self, images: Iterable[np.ndarray], *, key: str) -> Any:
        """Kept under this key."""
        ...


@dataclass(frozen=True)
class Part:
    pictures: Pictures
    start: int
    claims: Claims

    @property
    def place(self) -> int:
        return self.start

    @property
    def done(self) -> Path:
        """Is there once its features are."""
        return self.claims.folder / f"{self.start:06d}"

    def rest(self) -> "Part | None":
        return None if self.done.exists() else self

    def read(self, readers: Sequence[Reads]) -> None:
        images = list(self.pictures.part(self.start, self.start + PART))
        for reader in readers:
            reader.features(images, key=part_of(self.pictures.key, self.start))
        self.done.touch()
        self.claims.leave(self.place)


def read_ahead(scorers: Sequence[Any], arms: Sequence[Pictures], *, cache: Path, suite: str) -> None:
    """All features that the scorers of this suite will ask for are on disk, whichever process has computed them."""
    readers = [scorer for scorer in scorers if isinstance(scorer, Reads)]
    if not readers:
        return
    with ExitStack() as stack:
        parts = []
        for arm in {arm.key: arm for arm in arms}.values():
            claims = stack.enter_context(Claims(cache / f"{arm.key}-{suite}"))
            parts += [Part(arm, start, claims) for start in range(0, arm.count, PART)]
        for part in free(parts):
            part.read(readers)
