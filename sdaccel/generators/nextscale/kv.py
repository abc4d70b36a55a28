"""Keys and values of one generation, in one buffer per layer that can be cut back.

Rows may hold different numbers of tokens: whoever drives them knows how many, moves to where a group of rows goes on (`seek`),
and writes for these alone (`only`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


class KVCache:
    """K and V of every layer, (R, H, L, d); all layers grow by the same tokens in every forward."""

    def __init__(
        self, *, layers: int, rows: int, heads: int, capacity: int, head_dim: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        shape = (layers, rows, heads, capacity, head_dim)
        self.keys = torch.empty(shape, dtype=dtype, device=device)
        self.values = torch.empty(shape, dtype=dtype, device=device)
        self.lengths = [0] * layers

    @property
    def length(self) -> int:
        """Tokens held by every layer."""
        if len(set(self.lengths)) != 1:
            raise RuntimeError(f"layers hold different numbers of tokens: {self.lengths}")
        return self.lengths[0]

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store k and v (R, H, l, d) behind what the layer holds; views of everything it holds now."""
        start = self.lengths[layer]
        end = start + k.shape[2]
        self.keys[layer, :, :, start:end] = k
        self.values[layer, :, :, start:end] = v
        self.lengths[layer] = end
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def truncate(self, length: int) -> None:
        """Forget every token from `length` on."""
        if length > min(self.lengths):
            raise ValueError(f"cannot truncate to {length} tokens: a layer holds {min(self.lengths)}")
        self.seek(length)

    def seek(self, length: int) -> None:
        """Go on behind the first `length` tokens, which the rows that matter hold."""
        self.lengths = [length] * len(self.lengths)

    def blank(self, length: int) -> None:
        """Hold zeros in place of the first `length` tokens: finite, so that a bias can hide them."""
        for buffer in (self.keys, self.values):
            buffer[:, :, :, :length] = 0
        self.seek(length)

    @contextmanager
    def only(self, rows: Sequence[int] | None, *, start: int, end: int) -> Iterator[None]:
        """What is written to tokens start .. end-1 inside is undone for all but these rows; None: for none."""
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
