"""One model's passes over the scales of one generation."""

from collections.abc import Sequence, Sized
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from sdaccel.generators.nextscale.kv import KVCache
from sdaccel.generators.nextscale.model import NextScaleModel
from sdaccel.generators.nextscale.seam import Sublayers


class GuidedRun:
    """What the model made of the condition, and its KV cache. The canvas belongs to the loop."""

    def __init__(self, model: NextScaleModel, condition: Sized, *, cache: type[KVCache] = KVCache) -> None:
        self.model, self.layout, self.batch = model, model.layout, len(condition)
        self.given = model.prepare(condition)
        self.kv = cache_of(model, batch=self.batch, kind=cache)

    def begin(self) -> Tensor:
        """Input of scale 0, (2B, rows, C)."""
        return self.model.begin(self.given)

    def embed(self, maps: Tensor, *, first: int, last: int) -> Tensor:
        """Input of scales first .. last from the canvas's maps (B, l, Cvae), (2B, l, C): both halves see the same canvas."""
        return self.model.embed(self.given, maps, first=first, last=last)

    def inputs(self, maps: Tensor | None, *, first: int, last: int) -> Tensor:
        """Input of scales first .. last, (2B, rows, C); the maps are those of these scales but scale 0."""
        if maps is None:
            return self.begin()
        rest = self.embed(maps, first=max(first, 1), last=last)
        return torch.cat([self.begin(), rest], 1) if first == 0 else rest

    def advance(
        self, x: Tensor, *, first: int, last: int, bias: Tensor | None = None, sublayers: Sublayers | None = None
    ) -> Tensor:
        """Block output of scales first .. last in one pass behind the cached ones; several make a block-causal prefill.

        A bias, of these rows over all rows up to the last, says otherwise who sees whom.
        """
        self.expect(first)
        return self.model.run_blocks(self.given, x, first=first, last=last, kv=self.kv, bias=bias, sublayers=sublayers)

    def expect(self, first: int) -> None:
        """Scale `first` is the next one, or its positions would be those of another."""
        if self.kv.length != self.layout.row_start(first):
            raise ValueError(f"scale {first} starts at row {self.layout.row_start(first)}, the cache holds {self.kv.length}")

    def logits(self, h: Tensor) -> Tensor:
        """Unguided logits (2B, l, V) of block output."""
        return self.model.logits(self.given, h)

    def blank(self, scale: int) -> None:
        """Stand at a scale without the keys and values of those before it."""
        self.kv.blank(self.layout.row_start(scale))

    def truncate(self, scale: int) -> None:
        """Forget the keys and values of every scale from `scale` on."""
        self.kv.truncate(self.layout.row_start(scale))

    def standing_at(self, first: int, last: int, rows: Sequence[int] | None) -> AbstractContextManager[None]:
        """These samples, None: all, hold the scales before `first`; inside, their keys and values up to `last` are written."""
        start, end = self.layout.row_start(first), self.layout.row_start(last + 1)
        self.kv.seek(start)
        return self.kv.write_rows(self.guided_rows(rows), start=start, end=end)

    def guided_rows(self, rows: Sequence[int] | None) -> list[int] | None:
        """The rows of [cond; uncond] that hold these samples."""
        return None if rows is None else [half + row for half in (0, self.batch) for row in rows]


def cache_of(model: NextScaleModel, *, batch: int, kind: type[KVCache] = KVCache) -> KVCache:
    """An empty cache for [cond; uncond] of so many samples."""
    return kind(
        layers=model.layers,
        rows=2 * batch,
        heads=model.heads,
        capacity=model.layout.row_start(model.layout.scales),
        head_dim=model.head_dim,
        dtype=model.dtype,
        device=model.device,
    )


def of_rows(values: Tensor, rows: Sequence[int] | None) -> Tensor:
    """These rows, None: all."""
    return values if rows is None else values.index_select(0, torch.tensor(rows, device=values.device))
