"""HART's transformer, with the parameter names of the official checkpoint.

R rows ([cond; uncond] when guided) · T text tokens, the rows of scale 0 · l tokens of this pass · C width · H heads · V codes
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sdaccel.generators.hart.head import ResidualHead, ResidualNet, TimeEmbedding
from sdaccel.generators.hart.rope import angles, rotate
from sdaccel.generators.nextscale.canvas import wide
from sdaccel.generators.nextscale.kv import KVCache
from sdaccel.generators.nextscale.layout import Layout, nearest_phi
from sdaccel.generators.nextscale.seam import Due, Sublayers

PATCH_NUMS = (1, 2, 3, 4, 5, 7, 9, 12, 16, 21, 27, 36, 48, 64)
EPS = 1e-6
SCALE = 0.25
"""Factor on the usual softmax scale: 1/32 at 64 channels a head."""


def hybrid_layout(patch_nums: tuple[int, ...], *, prefix: int = 1) -> Layout:
    """The last scale is painted as it is: the residual head, not a convolution, fills it in."""
    return Layout(patch_nums, prefix=prefix, phi=(*nearest_phi(len(patch_nums))[:-1], None))


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """All that decides the shapes of the transformer."""

    depth: int = 24
    embed_dim: int = 1536
    """C"""
    heads: int = 24
    hidden: int = 4096
    """Of the feed-forward."""
    patch_nums: tuple[int, ...] = PATCH_NUMS
    context_tokens: int = 300
    context_width: int = 1536
    vocab: int = 4096
    Cvae: int = 32
    head_width: int = 1024
    head_depth: int = 6

    @property
    def head_dim(self) -> int:
        return self.embed_dim // self.heads

    @property
    def layout(self) -> Layout:
        return hybrid_layout(self.patch_nums, prefix=self.context_tokens)


class RMSNorm(nn.Module):
    """x / rms(x) times a weight, computed wide, handed on in the format asked for."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        return F.rms_norm(wide(x), x.shape[-1:], wide(self.weight), EPS).to(dtype)


def attend(q: Tensor, k: Tensor, v: Tensor, *, bias: Tensor | None = None) -> Tensor:
    """Every query sees every key, but for what an additive bias hides; q and k are read in the format of v."""
    bias = None if bias is None else bias.to(v.dtype)
    scale = SCALE * q.shape[-1] ** -0.5
    return F.scaled_dot_product_attention(q.to(v.dtype), k.to(v.dtype), v, attn_mask=bias, scale=scale)


def attend_by_scale(q: Tensor, k: Tensor, v: Tensor, *, rows: Sequence[int]) -> Tensor:
    """Block-causal attention of scales of so many rows behind what is cached: one unmasked call each, for no mask of all."""
    end, parts, k = k.shape[2] - q.shape[2], [], k.to(v.dtype)
    for part in q.split(list(rows), 2):
        end += part.shape[2]
        parts.append(attend(part, k[:, :, :end], v[:, :, :end]))
    return torch.cat(parts, 2)


Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""q (R, H, l, d), k and v (R, H, n, d) to (R, H, l, d); who sees whom is its own business."""


class Angles(NamedTuple):
    """Cosines and sines, (R, 1, l, d), of the rows of a pass."""

    cos: Tensor
    sin: Tensor

    def rows(self, first: int, last: int) -> "Angles":
        return Angles(self.cos[:, :, first:last], self.sin[:, :, first:last])


class Attention(nn.Module):
    """Bias on q and v, none on k; positions turn q and k before they are cached."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("zero_k_bias", torch.zeros(width))
        self.zero_k_bias: Tensor
        self.qkv_proj = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width)

    def project(self, x: Tensor, at: Angles) -> tuple[Tensor, Tensor, Tensor]:
        """q, k, v, each (R, H, l, d); q and k in at least float32, as they were turned."""
        bias = torch.cat([self.q_bias, self.zero_k_bias, self.v_bias])
        parts = self._heads(F.linear(x, self.qkv_proj.weight, bias))
        q, k = rotate(wide(parts[:2]), *at)
        return q, k, parts[2]

    def keys_values(self, x: Tensor, at: Angles) -> tuple[Tensor, Tensor]:
        """k and v alone, by two thirds of the product."""
        weight = self.qkv_proj.weight[len(self.q_bias) :]
        k, v = self._heads(F.linear(x, weight, torch.cat([self.zero_k_bias, self.v_bias])))
        return rotate(wide(k), *at), v

    def _heads(self, parts: Tensor) -> Tensor:
        """(R, l, n C) to (n, R, H, l, d)."""
        return parts.unflatten(-1, (-1, self.heads, len(self.q_bias) // self.heads)).permute(2, 0, 3, 1, 4)

    def forward(self, x: Tensor, *, at: Angles, layer: int, kv: KVCache | None, attend: Attend) -> Tensor:
        q, k, v = self.project(x, at)
        if kv is not None:
            k, v = kv.append(layer, k, v)
        return self.proj(attend(q, k, v).transpose(1, 2).flatten(2))

    def due(self, x: Tensor, *, at: Angles, layer: int, kv: KVCache | None, attend: Attend) -> Due:
        """What may be done in place of `forward`."""
        assert kv is not None, "what is not computed owes its keys and values to a cache"
        compute = partial(self, x, at=at, layer=layer, kv=kv, attend=attend)
        return Due(compute, lambda: kv.append(layer, *self.keys_values(x, at)), lambda: kv.drop(layer, x.shape[1]))


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, hidden, bias=False)
        self.up_proj = nn.Linear(width, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    """x += attn(norm(x)); x += ffn(norm(x)), by one norm whose weight is learned despite its name."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.attn = Attention(geometry.embed_dim, geometry.heads)
        self.ffn = FeedForward(geometry.embed_dim, geometry.hidden)
        self.ln_wo_grad = RMSNorm(geometry.embed_dim)

    def forward(
        self, x: Tensor, *, at: Angles, layer: int, kv: KVCache | None, attend: Attend, sublayers: Sublayers | None
    ) -> Tensor:
        h = self.ln_wo_grad(x, self.attn.proj.weight.dtype)
        if sublayers is None:
            y = self.attn(h, at=at, layer=layer, kv=kv, attend=attend)
        else:
            y = sublayers.sublayer(layer, "attn", h, self.attn.due(h, at=at, layer=layer, kv=kv, attend=attend))
        x = x + y
        h = self.ln_wo_grad(x, self.ffn.up_proj.weight.dtype)
        return x + (self.ffn(h) if sublayers is None else sublayers.sublayer(layer, "ffn", h, Due(partial(self.ffn, h))))


class HeadNorm(nn.Module):
    """The last norm, and its scale and shift from the text."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.ln_wo_grad = RMSNorm(width)
        self.ada_lin = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))


class HART(nn.Module):
    """Embeddings, blocks, head and residual head. What belongs to one generation lives with the caller."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        g = geometry
        self.geometry, self.layout = g, g.layout
        self.word_embed = nn.Linear(g.Cvae, g.embed_dim)
        self.context_norm = RMSNorm(g.context_width)
        self.context_embed = nn.Linear(g.context_width, g.embed_dim)
        self.lvl_embed = TimeEmbedding(g.embed_dim)
        self.blocks = nn.ModuleList(Block(g) for _ in range(g.depth))
        self.head_nm = HeadNorm(g.embed_dim)
        self.head = nn.Linear(g.embed_dim, g.vocab)
        self.decoder_norm = RMSNorm(g.embed_dim)
        net = ResidualNet(channels=g.Cvae, width=g.head_width, depth=g.head_depth, told=g.embed_dim)
        self.diffloss = ResidualHead(net)

    def constants(self) -> dict[str, Tensor]:
        """The values of all buffers."""
        return {f"blocks.{i}.attn.zero_k_bias": torch.zeros(self.geometry.embed_dim) for i in range(self.geometry.depth)}

    def angles(self, positions: Tensor) -> Angles:
        """Of all rows, from the text's positions (R, T)."""
        turn = angles(positions, self.layout, self.geometry.head_dim).unsqueeze(1)
        return Angles(turn.cos(), turn.sin())

    def read(self, hidden: Tensor) -> Tensor:
        """(R, T, C) of the text encoder's states (R, T, W)."""
        return wide(self.context_embed(self.context_norm(hidden, self.context_embed.weight.dtype)))

    def head_modulation(self, text: Tensor) -> Tensor:
        """(2, R, 1, C), scale and shift of the last norm, from what was read (R, T, C)."""
        pooled = text.amax(1).to(self.head.weight.dtype)
        return wide(self.head_nm.ada_lin(pooled)).unflatten(-1, (2, 1, -1)).movedim(1, 0)

    def levels(self) -> Tensor:
        """(K, C), what every row of a scale has in common; all text is level 0."""
        return wide(self.lvl_embed(torch.arange(self.layout.scales, device=self.head.weight.device)))

    def embed_maps(self, maps: Tensor, levels: Tensor, *, first: int, last: int) -> Tensor:
        """Input of scales first .. last (first > 0) from the canvas's maps (R, l, Cvae), (R, l, C)."""
        embedded = wide(self.word_embed(maps.to(self.word_embed.weight.dtype)))
        own = [level.expand(self.layout.rows(k), -1) for k, level in enumerate(levels[first : last + 1], first)]
        return embedded + (own[0] if first == last else torch.cat(own))

    def run_blocks(
        self, x: Tensor, *, at: Angles, kv: KVCache | None, attend: Attend, sublayers: Sublayers | None = None
    ) -> Tensor:
        """(R, l, C) through all blocks; keys and values are appended to the cache."""
        for layer, block in enumerate(self.blocks):
            x = block(x, at=at, layer=layer, kv=kv, attend=attend, sublayers=sublayers)
        return x

    def logits(self, h: Tensor, modulation: Tensor) -> Tensor:
        """(R, l, V) of block output."""
        return wide(self.head(self.normed(h, modulation)))

    def normed(self, h: Tensor, modulation: Tensor) -> Tensor:
        """Block output as the head reads it."""
        scale, shift = modulation
        normed = self.head_nm.ln_wo_grad(h, torch.promote_types(h.dtype, torch.float32))
        return (normed * (1 + scale) + shift).to(self.head.weight.dtype)

    def told(self, h: Tensor, codes: Tensor) -> Tensor:
        """z of the residual head: block output (R, l, C) with the codes (R, l, Cvae) that were drawn for it."""
        drawn = wide(self.word_embed(codes.to(self.word_embed.weight.dtype)))
        return self.decoder_norm(h + drawn, self.word_embed.weight.dtype)
