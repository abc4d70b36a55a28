"""Keys and values of one generation, in one buffer per layer that can be cut back.

Samples may stand at different scales: whoever drives them knows where, moves to where a group of them goes on (`seek`), and
writes for these alone (`write_rows`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


class KVCache:
    """K and V of every layer, (R, H, L, d); in every forward each layer takes in the same positions, or drops them."""

    def __init__(
        self, *, layers: int, rows: int, heads: int, capacity: int, head_dim: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        shape = (layers, rows, heads, capacity, head_dim)
        self.keys = torch.empty(shape, dtype=dtype, device=device)
        self.values = torch.empty(shape, dtype=dtype, device=device)
        self.lengths = [0] * layers
        """Positions that a layer holds."""
        self.dropped = [0] * layers
        """Positions that it passed and does not hold."""

    @property
    def length(self) -> int:
        """Positions that every layer has passed."""
        passed = {held + dropped for held, dropped in zip(self.lengths, self.dropped, strict=True)}
        if len(passed) != 1:
            raise RuntimeError(f"layers hold different numbers of positions: {self.lengths} (dropped {self.dropped})")
        return passed.pop()

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store k and v (R, H, l, d) behind what the layer holds; views of everything it holds now."""
        start = self.lengths[layer]
        end = start + k.shape[2]
        self.keys[layer, :, :, start:end] = k
        self.values[layer, :, :, start:end] = v
        self.lengths[layer] = end
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def drop(self, layer: int, count: int) -> None:
        """Pass so many positions that no later query will see at this layer."""
        self.dropped[layer] += count

    def truncate(self, length: int) -> None:
        """Forget every position from `length` on."""
        if length > min(self.lengths):
            raise ValueError(f"cannot truncate to {length} positions: a layer holds {min(self.lengths)}")
        self.seek(length)

    def seek(self, length: int) -> None:
        """Go on behind the first `length` positions, which the samples that matter hold."""
        if length and any(self.dropped):
            raise ValueError(f"cannot go back to {length} positions: a layer dropped some, and which ones is not kept")
        self.lengths = [length] * len(self.lengths)
        self.dropped = [0] * len(self.lengths)

    def blank(self, length: int) -> None:
        """Hold zeros in place of the first `length` positions: finite, so that a bias can hide them."""
        for buffer in (self.keys, self.values):
            buffer[:, :, :, :length] = 0
        self.seek(length)

    @contextmanager
    def write_rows(self, rows: Sequence[int] | None, *, start: int, end: int) -> Iterator[None]:
        """On exit restore all other rows at positions start .. end-1; None restores none."""
        others = [] if rows is None else sorted(set(range(self.keys.shape[1])) - set(rows))
        if not others:
            yield
            return
        index = torch.tensor(others, device=self.keys.device)
        places = [buffer[:, :, :, start:end] for buffer in (self.keys, self.values)]
        kept = [place.index_select(1, index) for place in places]
        yield
        for place, before in zip(places, kept, strict=True):
            place.index_copy_(1, index, before)
