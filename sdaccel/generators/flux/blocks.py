"""The two kinds of block as functions that also hand out what the gates multiply: diffusers' arithmetic, one by one.

Features are outputs here and not the catch of forward hooks, because a compiled module does not see hooks that come after it
was compiled. So one graph without breaks serves every full step, with a strategy or without, and an operator that a backend
puts into the place of a block's attention or MLP is called like the original.

image (B, L, D) · text (B, T, D) · temb (B, D)
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

Rope = tuple[Tensor, Tensor]
"""Cosines and sines of all tokens, text first."""
HALF_MAX = 65504
"""diffusers clips residual streams in float16 here."""


def double(block: Any, image: Tensor, text: Tensor, temb: Tensor, rope: Rope) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(image, text, attention, mlp) of a FluxTransformerBlock; the last two are features: image tokens, before their gates."""
    normed, gate, shift, scale, gate_mlp = block.norm1(image, emb=temb)
    text_normed, text_gate, text_shift, text_scale, text_gate_mlp = block.norm1_context(text, emb=temb)
    attention, text_attention = block.attn(hidden_states=normed, encoder_hidden_states=text_normed, image_rotary_emb=rope)
    image = image + gate.unsqueeze(1) * attention
    mlp = block.ff(block.norm2(image) * (1 + scale[:, None]) + shift[:, None])
    image = image + gate_mlp.unsqueeze(1) * mlp
    text = text + text_gate.unsqueeze(1) * text_attention
    text_normed = block.norm2_context(text) * (1 + text_scale[:, None]) + text_shift[:, None]
    text = text + text_gate_mlp.unsqueeze(1) * block.ff_context(text_normed)
    return image, _clipped(text), attention, mlp


def single(block: Any, image: Tensor, text: Tensor, temb: Tensor, rope: Rope) -> tuple[Tensor, Tensor, Tensor]:
    """(image, text, total) of a FluxSingleTransformerBlock; total is its feature, of image tokens, before the gate."""
    joint = torch.cat([text, image], dim=1)
    normed, gate = block.norm(joint, emb=temb)
    hidden = block.act_mlp(block.proj_mlp(normed))
    attention = block.attn(hidden_states=normed, image_rotary_emb=rope)
    total = block.proj_out(torch.cat([attention, hidden], dim=2))
    joint = _clipped(joint + gate.unsqueeze(1) * total)
    length = text.shape[1]
    return joint[:, length:], joint[:, :length], total[:, length:]


@cache
def compiled() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """`double` and `single` as one graph each. Weights are inputs of a graph, so it serves all blocks of its kind."""
    return torch.compile(double, fullgraph=True, dynamic=False), torch.compile(single, fullgraph=True, dynamic=False)


def _clipped(stream: Tensor) -> Tensor:
    return stream.clip(-HALF_MAX, HALF_MAX) if stream.dtype == torch.float16 else stream
