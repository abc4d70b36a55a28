"""VAR as its authors run it, the arm that speed-ups are often quoted against: float32 weights under half-precision autocast.

Weights are cast anew in every product (autocast caches no cast of frozen weights), adaLN is computed at every scale, the cache
grows by concatenation and holds K in float32, which attention casts back at every use.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import cast

import torch
from torch import Tensor

from sdaccel.generators.nextscale.canvas import wide
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE
from sdaccel.generators.nextscale.tokens import PhiloxRace
from sdaccel.generators.var.model import HEAD_DIM, VAR, Block, Modulation, attend
from sdaccel.generators.var.sampler import GuidedRun, Sample, Sampling, ScaleLoop, class_rows


class GrowingCache:
    """`KVCache` by concatenation, (R, H, n, d), in the formats that come: K in float32."""

    def __init__(self, layers: int) -> None:
        self.held: list[tuple[Tensor, Tensor] | None] = [None] * layers

    @property
    def length(self) -> int:
        first = self.held[0]
        return 0 if first is None else first[0].shape[2]

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Everything the layer holds with k and v behind it."""
        if (before := self.held[layer]) is not None:
            k, v = torch.cat([before[0], k], 2), torch.cat([before[1], v], 2)
        self.held[layer] = k, v
        return k, v

    def seek(self, length: int) -> None:
        """What lies behind is forgotten, so all rows hold the same tokens."""
        self.truncate(length)

    @contextmanager
    def only(self, rows: Sequence[int] | None, *, start: int, end: int) -> Iterator[None]:
        if rows is not None:
            raise ValueError("a cache that grows by concatenation holds the same tokens of every row")
        yield

    def truncate(self, length: int) -> None:
        if length > self.length:
            raise ValueError(f"cannot truncate to {length} tokens: a layer holds {self.length}")
        self.held = [None if kv is None or length == 0 else (kv[0][:, :, :length], kv[1][:, :, :length]) for kv in self.held]


class AutocastRun(GuidedRun):
    """`GuidedRun` that keeps nothing but class rows and the cache."""

    def __init__(self, model: VAR, labels: Tensor) -> None:
        self.model = model
        self.cond = class_rows(model, labels)
        self.kv = GrowingCache(model.geometry.depth)  # type: ignore[assignment]

    def blank(self, scale: int) -> None:
        held = self.model.offsets[scale]
        k = self.cond.new_zeros(len(self.cond), self.model.geometry.depth, held, HEAD_DIM)
        v = k.to(torch.get_autocast_dtype(k.device.type))
        self.kv.held = [(k, v) for _ in self.kv.held]  # type: ignore[attr-defined]

    def advance(self, x: Tensor, *, first: int, last: int, bias: Tensor | None = None) -> Tensor:
        self.expect(first)
        shared = self.model.shared_ada_lin(self.cond).unflatten(-1, (1, 6, -1)) if self.model.geometry.shared_aln else None
        seen = partial(attend, bias=self.model.bias(first, last) if bias is None else bias)
        for layer, block in enumerate(self.model.blocks):
            parts = cast(Block, block).ada_parts(self.cond, shared)
            x = block(x, parts.movedim(2, 0), layer=layer, kv=self.kv, attend=seen)
        return x

    def logits(self, h: Tensor) -> Tensor:
        head = self.model.head_nm.ada_lin(self.cond).unflatten(-1, (1, 2, -1))
        return self.model.logits(h, Modulation([], wide(head).movedim(2, 0)))


class AutocastLoop(ScaleLoop):
    """`ScaleLoop` under autocast."""

    dtype: torch.dtype

    def full(self, scale: int) -> None:
        with torch.autocast(self.run.cond.device.type, dtype=self.dtype):
            super().full(scale)

    def guided(
        self, maps: Tensor | None, *, first: int, last: int, bias: Tensor | None = None, rows: Sequence[int] | None = None
    ) -> Tensor:
        with torch.autocast(self.run.cond.device.type, dtype=self.dtype):
            return super().guided(maps, first=first, last=last, bias=bias, rows=rows)

    def blank(self, scale: int) -> None:
        with torch.autocast(self.run.cond.device.type, dtype=self.dtype):
            super().blank(scale)

    def paint(self, scale: int, tokens: Tensor, codes: Tensor, *, rows: Sequence[int] | None = None) -> None:
        with torch.autocast(self.run.cond.device.type, dtype=self.dtype):
            super().paint(scale, tokens, codes, rows=rows)

    def finish(self) -> Sample:
        self.run.kv.truncate(0)  # the official code frees its cache before it decodes
        with torch.autocast(self.run.cond.device.type, dtype=self.dtype):
            return super().finish()


class Autocast:
    def __init__(self, var: VAR, vae: VQVAE, *, dtype: torch.dtype) -> None:
        self.var, self.vae, self.dtype = var, vae, dtype

    def start(self, labels: Tensor, seeds: Tensor, *, sampling: Sampling) -> AutocastLoop:
        loop = AutocastLoop(self.var, self.vae, labels, noise=PhiloxRace(seeds), sampling=sampling, run=AutocastRun)
        loop.dtype = self.dtype
        return loop
