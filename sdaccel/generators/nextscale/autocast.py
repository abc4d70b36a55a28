"""A generation under half-precision autocast, as official code runs: products are half, what they are made of is float32.

Weights are cast anew in every product (autocast caches no cast of frozen weights), and the cache grows by concatenation.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from sdaccel.generators.nextscale.kv import KVCache
from sdaccel.generators.nextscale.loop import Sample, ScaleLoop
from sdaccel.generators.nextscale.model import NextScaleModel
from sdaccel.generators.nextscale.tokens import PhiloxRace, Sampling


class GrowingCache(KVCache):
    """A cache by concatenation that holds K and V (R, H, n, d) in the formats they come in: K in float32."""

    def __init__(self, *, layers: int, rows: int, heads: int, head_dim: int, device: torch.device, **reserved: Any) -> None:
        self.shape, self.device = (rows, heads, head_dim), device
        self.held: list[tuple[Tensor, Tensor] | None] = [None] * layers
        self.lengths, self.dropped = [0] * layers, [0] * layers

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Everything the layer holds with k and v behind it."""
        if (before := self.held[layer]) is not None:
            k, v = torch.cat([before[0], k], 2), torch.cat([before[1], v], 2)
        self.held[layer] = k, v
        self.lengths[layer] = k.shape[2]
        return k, v

    def seek(self, length: int) -> None:
        """What lies behind is forgotten, so all rows hold the same tokens."""
        if length > min(self.lengths):
            raise ValueError(f"cannot go on behind {length} positions: a layer holds {min(self.lengths)}")
        super().seek(length)
        self.held = [None if kv is None or length == 0 else (kv[0][:, :, :length], kv[1][:, :, :length]) for kv in self.held]

    def blank(self, length: int) -> None:
        rows, heads, head_dim = self.shape
        k = torch.zeros(rows, heads, length, head_dim, device=self.device)
        v = k.to(torch.get_autocast_dtype(self.device.type))
        self.held = [(k, v) for _ in self.held]
        self.lengths = [length] * len(self.held)

    @contextmanager
    def write_rows(self, rows: Sequence[int] | None, *, start: int, end: int) -> Iterator[None]:
        if rows is not None:
            raise ValueError("a cache that grows by concatenation holds the same tokens of every row")
        yield


def under_autocast(method: Callable[..., Any]) -> Any:
    """A method of `ScaleLoop` under autocast in the loop's format."""

    @wraps(method)
    def run(loop: "AutocastLoop", *args: Any, **options: Any) -> Any:
        with torch.autocast(loop.device.type, dtype=loop.dtype):
            return method(loop, *args, **options)

    return run


class AutocastLoop(ScaleLoop):
    dtype: torch.dtype
    full, guided = under_autocast(ScaleLoop.full), under_autocast(ScaleLoop.guided)
    blank, paint = under_autocast(ScaleLoop.blank), under_autocast(ScaleLoop.paint)

    @under_autocast
    def finish(self) -> Sample:
        self.run.kv.truncate(0)  # the official code frees its cache before it decodes
        return super().finish()


@dataclass(frozen=True)
class Autocast:
    """An engine."""

    model: NextScaleModel
    dtype: torch.dtype
    race: type[PhiloxRace] = PhiloxRace
    cache: type[GrowingCache] = GrowingCache

    def start(self, condition: Any, seeds: Tensor, *, sampling: Sampling) -> AutocastLoop:
        with torch.autocast(self.model.device.type, dtype=self.dtype):
            loop = AutocastLoop(self.model, condition, noise=self.race(seeds), sampling=sampling, cache=self.cache)
        loop.dtype = self.dtype
        return loop
