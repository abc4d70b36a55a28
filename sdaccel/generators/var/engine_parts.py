"""What the fast engine prepares once per model, and what it does otherwise than the reference around the blocks' products.

R rows [cond; uncond] · l tokens of this pass · C width · H heads · d head dimension
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sdaccel.generators.nextscale.canvas import wide
from sdaccel.generators.var.model import HEAD_DIM, MAX_SCALE, Block
from sdaccel.generators.var.sampler import VarModel


@dataclass(frozen=True)
class Layer:
    """One block's weights, as the model holds them, with what its forward would assemble from them every time."""

    qkv: Tensor
    qkv_bias: Tensor
    factor: Tensor
    """What unit q and k are multiplied by, (2, H, 1): the learned scale and 1."""
    proj: nn.Linear
    fc1: nn.Linear
    fc2: nn.Linear


def layer_of(block: Block) -> Layer:
    attn = block.attn
    scale = wide(attn.scale_mul_1H11).clamp_max(MAX_SCALE).exp().view(-1, 1)
    return Layer(
        qkv=attn.mat_qkv.weight,
        qkv_bias=torch.cat([attn.q_bias, attn.zero_k_bias, attn.v_bias]),
        factor=torch.stack([scale, torch.ones_like(scale)]),
        proj=attn.proj,
        fc1=block.ffn.fc1,
        fc2=block.ffn.fc2,
    )


class Prepared:
    """The model with its per-layer constants and the position embeddings of the whole sequence."""

    def __init__(self, model: VarModel) -> None:
        self.model, var = model, model.var
        self.layers = [layer_of(cast(Block, block)) for block in var.blocks]
        self.positions = var.positions(0, model.layout.scales - 1)  # (1, rows, C)
        self.dtype = var.head.weight.dtype


def hidden(h: Tensor, fc1: nn.Linear) -> Tensor:
    """GELU(fc1 h); in half precision on a GPU the product itself adds the bias and applies GELU, before it rounds."""
    if h.is_cuda and h.dtype.itemsize == 2:
        return torch._addmm_activation(fc1.bias, h.flatten(0, 1), fc1.weight.t(), use_gelu=True).unflatten(0, h.shape[:2])
    return F.gelu(fc1(h), approximate="tanh")


def split_heads(x: Tensor, *, parts: int = 3) -> Tensor:
    """(R, l, parts C) to (R, l, parts, H, d)."""
    return x.unflatten(-1, (parts, -1, HEAD_DIM))
