"""Attention of diffusers' FLUX up to the operator: projections, norms of queries and keys, rope, and the way out."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""q, k, v (B, H, N, d) -> (B, H, N, d)"""


class OperatorProcessor:
    """In the place of diffusers' attention processor, with its arithmetic around another operator."""

    def __init__(self, attend: Attend) -> None:
        self.attend = attend

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        image_rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        if attention_mask is not None or image_rotary_emb is None:
            raise ValueError("an operator computes the attention of FLUX: with rope, and without a mask")
        q, k, v = (_heads(attn, p(hidden_states)) for p in (attn.to_q, attn.to_k, attn.to_v))
        q, k = attn.norm_q(q), attn.norm_k(k)
        if encoder_hidden_states is not None:
            text = encoder_hidden_states
            tq, tk, tv = (_heads(attn, p(text)) for p in (attn.add_q_proj, attn.add_k_proj, attn.add_v_proj))
            q, k, v = (torch.cat(pair, 1) for pair in ((attn.norm_added_q(tq), q), (attn.norm_added_k(tk), k), (tv, v)))
        q, k, v = (x.transpose(1, 2) for x in (rotated(q, image_rotary_emb), rotated(k, image_rotary_emb), v))
        out = self.attend(q, k, v).transpose(1, 2).flatten(2)
        if encoder_hidden_states is None:
            return out
        length = encoder_hidden_states.shape[1]
        return attn.to_out[1](attn.to_out[0](out[:, length:])), attn.to_add_out(out[:, :length])


def _heads(attn: Any, x: Tensor) -> Tensor:
    """(B, N, H, d)"""
    return x.unflatten(-1, (-1, attn.head_dim))


def rotated(x: Tensor, rope: tuple[Tensor, Tensor]) -> Tensor:
    """Neighbouring channels (a, b) turned by their token's angle, in float32 at least; x (B, N, H, d)."""
    cos, sin = (table.unsqueeze(-2) for table in rope)
    turned = torch.stack([-x[..., 1::2], x[..., 0::2]], -1).flatten(-2)
    return (x * cos + turned * sin).to(x.dtype)
