"""Random weights from a generator of their own, of a model in which everything matters."""

import math

import torch
from torch import Tensor

EMBEDDINGS = ("class_emb.weight", "lvl_embed.weight", "pos_start", "pos_1LC", "quantize.embedding.weight", "ada_gss")

Shapes = dict[str, torch.Size]


def unit_scale(shapes: Shapes, *, seed: int) -> dict[str, Tensor]:
    """All parameters of a model in which every label, block and code matters: N(0, 1 / fan in), embeddings N(0, 1)."""
    generator = torch.Generator().manual_seed(seed)
    return {name: _unit_scale(name, shape, generator) for name, shape in shapes.items()}


def _unit_scale(name: str, shape: torch.Size, generator: torch.Generator) -> Tensor:
    if name.endswith("scale_mul_1H11"):
        return torch.full(shape, math.log(4))
    if name.endswith(EMBEDDINGS):
        return torch.randn(shape, generator=generator)
    if len(shape) > 1:
        return torch.randn(shape, generator=generator) * math.prod(shape[1:]) ** -0.5
    return torch.zeros(shape) if name.endswith("bias") else torch.ones(shape)
