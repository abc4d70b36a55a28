"""The fast engine's passes: what `VAR.run_blocks` defines, by fewer and larger operations on memory that stays in place."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from sdaccel.generators.nextscale.canvas import wide
from sdaccel.generators.nextscale.run import GuidedRun, cache_of
from sdaccel.generators.nextscale.seam import Due, Sublayers
from sdaccel.generators.var.engine_parts import Prepared, hidden, split_heads
from sdaccel.generators.var.model import Attend, attend
from sdaccel.generators.var.sampler import VarModel
from sdaccel.kernels.adaln import add_gated, add_modulated, modulated, place, place_kv


class FastRun(GuidedRun):
    """`GuidedRun` on memory that outlives a generation: `load` starts the next one."""

    model: VarModel

    def __init__(self, prepared: Prepared, *, batch: int) -> None:
        self.prepared, self.model, self.batch = prepared, prepared.model, batch
        self.layout = self.model.layout
        rows, width, device = 2 * batch, prepared.positions.shape[-1], prepared.positions.device
        self.cond = torch.empty(rows, width, dtype=prepared.dtype, device=device)
        self.blocks = torch.empty(self.model.layers, 6, rows, 1, width, dtype=prepared.positions.dtype, device=device)
        self.head = self.blocks.new_empty(2, rows, 1, width)
        self.kv = cache_of(self.model, batch=batch)
        self.kept: dict[int, bool] = {}
        """By layer, whether the last `compute` cached its keys and values or dropped them."""

    def load(self, labels: Tensor) -> None:
        """Class rows and adaLN of a new generation; device work alone."""
        self.cond.copy_(self.model.class_rows(labels))
        mod = self.model.var.modulate(self.cond)
        torch.stack(mod.blocks, out=self.blocks)
        self.blocks[:, 2:4].add_(1)
        self.head.copy_(mod.head)
        self.head[0].add_(1)

    def begin(self) -> Tensor:
        return self.model.var.embed_class(self.cond)

    def embed(self, maps: Tensor, *, first: int, last: int) -> Tensor:
        positions = self.prepared.positions[:, self.layout.row_start(first) : self.layout.row_start(last + 1)]
        embedded = wide(self.model.var.word_embed(maps.to(self.prepared.dtype)))
        return embedded.add_(positions).repeat(2, 1, 1)

    def advance(
        self, x: Tensor, *, first: int, last: int, bias: Tensor | None = None, sublayers: Sublayers | None = None
    ) -> Tensor:
        self.expect(first)
        h = self.compute(x.clone(), first=first, last=last, bias=bias, sublayers=sublayers)
        self.count(first, last, kept=self.kept)
        return h

    def compute(
        self, x: Tensor, *, first: int, last: int, bias: Tensor | None = None, sublayers: Sublayers | None = None
    ) -> Tensor:
        """`advance` without its bookkeeping on the host, which a replayed graph would not do; x is overwritten."""
        seen = partial(attend, bias=self.model.var.bias(first, last) if bias is None else bias)
        dtype, last_layer = self.prepared.dtype, self.model.layers - 1
        self.kept = {}
        h = modulated(x, self.blocks[0, 2], self.blocks[0, 4], dtype)
        for i in range(self.model.layers):
            g1, g2, _, s2, _, b2 = self.blocks[i].unbind(0)
            y = self._attend(i, h, seen) if sublayers is None else sublayers.sublayer(i, "attn", h, self._due(i, h, seen))
            h = add_modulated(x, g1, y, s2, b2, dtype)
            feed = partial(self._feed_forward, i, h)
            y = feed() if sublayers is None else sublayers.sublayer(i, "ffn", h, Due(feed))
            if i == last_layer:
                return add_gated(x, g2, y)
            h = add_modulated(x, g2, y, self.blocks[i + 1, 2], self.blocks[i + 1, 4], dtype)
        raise RuntimeError("a transformer has at least one block")

    def _attend(self, i: int, h: Tensor, seen: Attend) -> Tensor:
        layer, (k, v), own = self.prepared.layers[i], self._held(i, h.shape[1]), self.kv.lengths[i]
        qkv = split_heads(F.linear(h, layer.qkv, layer.qkv_bias))
        q = place(qkv, layer.factor, k[:, :, own:], v[:, :, own:])
        self.kept[i] = True
        return layer.proj(seen(q, k, v).transpose(1, 2).flatten(2))

    def _keep_kv(self, i: int, h: Tensor) -> None:
        layer, (k, v), own, width = self.prepared.layers[i], self._held(i, h.shape[1]), self.kv.lengths[i], h.shape[2]
        kv = split_heads(F.linear(h, layer.qkv[width:], layer.qkv_bias[width:]), parts=2)
        its_k, its_v = kv.permute(2, 0, 3, 1, 4)
        place_kv(its_k, its_v, layer.factor, k[:, :, own:], v[:, :, own:])
        self.kept[i] = True

    def _due(self, i: int, h: Tensor, seen: Attend) -> Due:
        drop_kv = partial(self.kept.__setitem__, i, False)
        return Due(partial(self._attend, i, h, seen), partial(self._keep_kv, i, h), drop_kv)

    def _held(self, i: int, rows: int) -> tuple[Tensor, Tensor]:
        """Keys and values of a layer with so many more rows than it holds."""
        end = self.kv.lengths[i] + rows
        return self.kv.keys[i, :, :, :end], self.kv.values[i, :, :, :end]

    def _feed_forward(self, i: int, h: Tensor) -> Tensor:
        layer = self.prepared.layers[i]
        return layer.fc2(hidden(h, layer.fc1))

    def count(self, first: int, last: int, *, kept: Mapping[int, bool] | None = None) -> None:
        """The layers passed these scales; `kept`: those that cached keys and values, which are all unless somebody answered."""
        rows = self.layout.row_start(last + 1) - self.layout.row_start(first)
        if kept is None:
            self.kv.lengths = [held + rows for held in self.kv.lengths]
            return
        for layer, cached in kept.items():
            passed = self.kv.lengths if cached else self.kv.dropped
            passed[layer] += rows

    def logits(self, h: Tensor) -> Tensor:
        return wide(self.raw_logits(h))

    def raw_logits(self, h: Tensor) -> Tensor:
        """`logits` in the format of the weights."""
        return self.model.var.head(modulated(h, self.head[0], self.head[1], self.prepared.dtype))
