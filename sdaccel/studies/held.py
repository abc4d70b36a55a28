"""Pictures that several metrics read stay in memory while they fit: opening files is most of a metric's time."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator

import numpy as np

LIMIT = 2**29
"""Bytes of all sets together; a larger set is read from disk every time."""


class Held:
    """Sets of pictures by name; the one that was not read for longest makes room."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.sets: OrderedDict[str, list[np.ndarray]] = OrderedDict()

    def read(self, name: str, source: Callable[[], Iterable[np.ndarray]]) -> Iterator[np.ndarray]:
        if name in self.sets:
            self.sets.move_to_end(name)
            return iter(self.sets[name])
        return self._fresh(name, source())

    def _fresh(self, name: str, images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The images; kept when they were all read and are not too large."""
        kept: list[np.ndarray] | None = []
        size = 0
        for image in images:
            size += image.nbytes
            if size > self.limit:
                kept = None
            if kept is not None:
                kept.append(image)
            yield image
        if kept is not None:
            self.sets[name] = kept
            while sum(image.nbytes for images in self.sets.values() for image in images) > self.limit:
                self.sets.popitem(last=False)
