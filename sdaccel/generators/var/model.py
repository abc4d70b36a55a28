"""The VAR transformer, with the parameter names of the official checkpoints.

R rows ([cond; uncond] when guided) · l tokens of this pass · C width = 64 depth · H heads = depth · V codes
g gate, s scale, b shift of attention (1) and feed-forward (2), from the class embedding by adaLN
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sdaccel.generators.nextscale.canvas import wide
from sdaccel.generators.nextscale.kv import KVCache
from sdaccel.generators.nextscale.layout import Layout
from sdaccel.generators.nextscale.seam import Due, Sublayers

PATCH_NUMS = {
    256: (1, 2, 3, 4, 5, 6, 8, 10, 13, 16),
    512: (1, 2, 3, 4, 6, 9, 13, 18, 24, 32),
}
"""Official sides of the scales by image side; the image has 16 pixels per cell of the last scale."""

HEAD_DIM = 64
MAX_SCALE = math.log(100)
"""The learned logit scale of q is exp(min(., ln 100)), as in Swin v2."""


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """All that decides the shapes of the transformer."""

    depth: int
    patch_nums: tuple[int, ...]
    num_classes: int = 1000
    vocab: int = 4096
    Cvae: int = 32
    shared_aln: bool = False

    @property
    def width(self) -> int:
        return HEAD_DIM * self.depth

    @property
    def heads(self) -> int:
        """As many as blocks."""
        return self.depth

    @property
    def layout(self) -> Layout:
        return Layout(self.patch_nums)


@dataclass(frozen=True)
class Modulation:
    """adaLN of one set of rows: it depends on the class alone, so one computation serves every scale."""

    blocks: list[Tensor]
    """Per block (6, R, 1, C) in the order g1, g2, s1, s2, b1, b2."""
    head: Tensor
    """(2, R, 1, C): scale, shift."""


Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""q (R, H, l, d), k and v (R, H, n, d) to (R, H, l, d); who sees whom is its own business."""


def attend(q: Tensor, k: Tensor, v: Tensor, *, bias: Tensor | None = None) -> Tensor:
    """Every query sees every key, but for what an additive bias hides; q and k are read in the format of v."""
    bias = None if bias is None else bias.to(v.dtype)
    return F.scaled_dot_product_attention(q.to(v.dtype), k.to(v.dtype), v, attn_mask=bias, scale=1.0)


def attend_by_scale(q: Tensor, k: Tensor, v: Tensor, *, ends: Sequence[int]) -> Tensor:
    """Block-causal attention of a sequence from its start: one unmasked call per scale does 0.6 of the work of a masked one."""
    starts, k = (0, *ends[:-1]), k.to(v.dtype)
    return torch.cat([attend(q[:, :, a:b], k[:, :, :b], v[:, :, :b]) for a, b in zip(starts, ends, strict=True)], 2)


def layer_norm(x: Tensor, *, scale: Tensor, shift: Tensor, dtype: torch.dtype) -> Tensor:
    """LayerNorm without weights, then adaLN; computed wide, handed to the next Linear in its dtype."""
    return (F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift).to(dtype)


class Attention(nn.Module):
    """Cosine attention: unit q times a learned scale per head, unit k, no softmax scale, no key bias."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD_DIM
        self.scale_mul_1H11 = nn.Parameter(torch.full((1, self.heads, 1, 1), math.log(4)))
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("zero_k_bias", torch.zeros(width))
        self.zero_k_bias: Tensor
        self.mat_qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q (scaled), k, v, each (R, H, l, d); q and k in at least float32, as they were normalised."""
        bias = torch.cat([self.q_bias, self.zero_k_bias, self.v_bias])
        q, k, v = self._heads(F.linear(x, self.mat_qkv.weight, bias))
        scale = wide(self.scale_mul_1H11).clamp_max(MAX_SCALE).exp()
        return F.normalize(wide(q), dim=-1) * scale, F.normalize(wide(k), dim=-1), v

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """k and v alone, by two thirds of the product."""
        weight = self.mat_qkv.weight[len(self.q_bias) :]
        k, v = self._heads(F.linear(x, weight, torch.cat([self.zero_k_bias, self.v_bias])))
        return F.normalize(wide(k), dim=-1), v

    def _heads(self, parts: Tensor) -> Tensor:
        """(R, l, n C) to (n, R, H, l, d)."""
        return parts.unflatten(-1, (-1, self.heads, HEAD_DIM)).permute(2, 0, 3, 1, 4)

    def forward(self, x: Tensor, *, layer: int, kv: KVCache | None, attend: Attend) -> Tensor:
        q, k, v = self.project(x)
        if kv is not None:
            k, v = kv.append(layer, k, v)
        return self.proj(attend(q, k, v).transpose(1, 2).flatten(2))

    def due(self, x: Tensor, *, layer: int, kv: KVCache | None, attend: Attend) -> Due:
        """What may be done in place of `forward`."""
        assert kv is not None, "what is not computed owes its keys and values to a cache"
        compute = partial(self, x, layer=layer, kv=kv, attend=attend)
        return Due(compute, lambda: kv.append(layer, *self.keys_values(x)), lambda: kv.drop(layer, x.shape[1]))


class FeedForward(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class Block(nn.Module):
    """x += g1 attn(LN(x)(1 + s1) + b1); x += g2 ffn(LN(x)(1 + s2) + b2)."""

    def __init__(self, width: int, *, shared_aln: bool) -> None:
        super().__init__()
        if shared_aln:
            self.ada_gss = nn.Parameter(torch.zeros(1, 1, 6, width))
        self.attn = Attention(width)
        self.ffn = FeedForward(width)
        if not shared_aln:
            self.ada_lin = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def ada_parts(self, cond: Tensor, shared: Tensor | None) -> Tensor:
        """(R, 1, 6, C) from the class rows (R, C), or from the shared adaLN's output (R, 1, 6, C)."""
        return self.ada_lin(cond).unflatten(-1, (1, 6, -1)) if shared is None else self.ada_gss + shared

    def modulation(self, cond: Tensor, shared: Tensor | None) -> Tensor:
        """(6, R, 1, C)"""
        return wide(self.ada_parts(cond, shared)).movedim(2, 0)

    def forward(
        self, x: Tensor, mod: Tensor, *, layer: int, kv: KVCache | None, attend: Attend, sublayers: Sublayers | None
    ) -> Tensor:
        h = layer_norm(x, scale=mod[2], shift=mod[4], dtype=self.attn.proj.weight.dtype)
        if sublayers is None:
            y = self.attn(h, layer=layer, kv=kv, attend=attend)
        else:
            y = sublayers.sublayer(layer, "attn", h, self.attn.due(h, layer=layer, kv=kv, attend=attend))
        x = x + mod[0] * y
        h = layer_norm(x, scale=mod[3], shift=mod[5], dtype=self.ffn.fc1.weight.dtype)
        y = self.ffn(h) if sublayers is None else sublayers.sublayer(layer, "ffn", h, Due(partial(self.ffn, h)))
        return x + mod[1] * y


class HeadNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.ada_lin = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))


class VAR(nn.Module):
    """Embeddings, blocks and head. Generation state (KV cache, canvas) lives with the caller; dropout belongs to training."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        g, width = geometry, geometry.width
        self.geometry, self.layout = g, g.layout
        rows = self.layout.row_start(self.layout.scales)
        self.pos_start = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_1LC = nn.Parameter(torch.zeros(1, rows, width))
        self.register_buffer("lvl_1L", self.layout.row_scales()[None])
        self.register_buffer("attn_bias_for_masking", self.layout.block_causal_bias()[None, None])
        self.lvl_1L: Tensor
        self.attn_bias_for_masking: Tensor
        self.word_embed = nn.Linear(g.Cvae, width)
        self.class_emb = nn.Embedding(g.num_classes + 1, width)
        self.lvl_embed = nn.Embedding(self.layout.scales, width)
        if g.shared_aln:
            self.shared_ada_lin = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))
        self.blocks = nn.ModuleList(Block(width, shared_aln=g.shared_aln) for _ in range(g.depth))
        self.head_nm = HeadNorm(width)
        self.head = nn.Linear(width, g.vocab)

    def constants(self) -> dict[str, Tensor]:
        """The values of all buffers: they follow from the geometry, so a checkpoint need not hold them."""
        zero_k = {f"blocks.{i}.attn.zero_k_bias": torch.zeros(self.geometry.width) for i in range(self.geometry.depth)}
        return {
            "lvl_1L": self.layout.row_scales()[None],
            "attn_bias_for_masking": self.layout.block_causal_bias()[None, None],
            **zero_k,
        }

    @property
    def null_class(self) -> int:
        """The label of the unconditional rows."""
        return self.geometry.num_classes

    def modulate(self, cond: Tensor) -> Modulation:
        """adaLN of the class rows (R, C)."""
        shared = self.shared_ada_lin(cond).unflatten(-1, (1, 6, -1)) if self.geometry.shared_aln else None
        head = self.head_nm.ada_lin(cond).unflatten(-1, (1, 2, -1))
        blocks = [cast(Block, block).modulation(cond, shared) for block in self.blocks]
        return Modulation(blocks, wide(head).movedim(2, 0))

    def positions(self, first: int, last: int) -> Tensor:
        """Level and position embeddings of scales first .. last, (1, l, C)."""
        rows = slice(self.layout.row_start(first), self.layout.row_start(last + 1))
        return wide(self.lvl_embed(self.lvl_1L[:, rows])) + wide(self.pos_1LC[:, rows])

    def embed_class(self, cond: Tensor) -> Tensor:
        """Input of scale 0 from the class rows (R, C), (R, 1, C)."""
        return wide(cond).unsqueeze(1) + wide(self.pos_start) + self.positions(0, 0)

    def embed_maps(self, maps: Tensor, *, first: int, last: int) -> Tensor:
        """Input of scales first .. last (first > 0) from the canvas's maps (R, l, Cvae), (R, l, C)."""
        return wide(self.word_embed(maps.to(self.word_embed.weight.dtype))) + self.positions(first, last)

    def bias(self, first: int, last: int) -> Tensor | None:
        """Block-causal rows of scales first .. last over all keys up to the last one; a single scale sees everything cached."""
        if first == last:
            return None
        end = self.layout.row_start(last + 1)
        return self.attn_bias_for_masking[:, :, self.layout.row_start(first) : end, :end]

    def run_blocks(
        self, x: Tensor, mods: Iterable[Tensor], *, kv: KVCache | None, attend: Attend, sublayers: Sublayers | None = None
    ) -> Tensor:
        """(R, l, C) through all blocks, each with its modulation; keys and values are appended to the cache."""
        for layer, (block, mod) in enumerate(zip(self.blocks, mods, strict=True)):
            x = block(x, mod, layer=layer, kv=kv, attend=attend, sublayers=sublayers)
        return x

    def logits(self, h: Tensor, mod: Tensor) -> Tensor:
        """Block output to (R, l, V) with the head's modulation."""
        return wide(self.head(layer_norm(h, scale=mod[0], shift=mod[1], dtype=self.head.weight.dtype)))

    def forward(self, labels: Tensor, maps: Tensor) -> Tensor:
        """Teacher forcing: logits (R, L, V) from labels (R,) and the maps (R, L - 1, Cvae) of scales 1 .. K-1."""
        cond, last = self.class_emb(labels), self.layout.scales - 1
        mod = self.modulate(cond)
        x = torch.cat([self.embed_class(cond), self.embed_maps(maps, first=1, last=last)], 1)
        attend = partial(attend_by_scale, ends=[self.layout.row_start(k + 1) for k in range(self.layout.scales)])
        return self.logits(self.run_blocks(x, mod.blocks, kv=None, attend=attend), mod.head)
