"""Random weights by VAR's own rule, from a generator of their own.

C width · every Linear, embedding and position N(0, 1 / 3C), biases 0, then the factors below
"""

import math

import torch
from torch import Tensor

from sdaccel.generators.var.model import Geometry

HEAD_ADA, BLOCK_ADA = 0.5, 0.5


def _normal(shape: torch.Size, std: float, generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator) * std


def var_tensor(
    name: str, shape: torch.Size, *, geometry: Geometry, gates: float, head: float, generator: torch.Generator
) -> Tensor:
    """One parameter of the transformer. Upstream truncates at +-2, more than 60 sigma away, so a plain normal is the same."""
    width = geometry.width
    if name.endswith("scale_mul_1H11"):
        return torch.full(shape, math.log(4))
    if name.endswith("bias"):
        return torch.zeros(shape)
    if name.endswith("ada_gss"):
        value = _normal(shape, width**-0.5, generator) * BLOCK_ADA
        value[:, :, :2] *= gates / BLOCK_ADA
        return value
    value = _normal(shape, math.sqrt(1 / (3 * width)), generator)
    if name.endswith(("attn.proj.weight", "ffn.fc2.weight")):
        return value / math.sqrt(2 * geometry.depth)
    if name == "head.weight":
        return value * head
    if name == "head_nm.ada_lin.1.weight":
        return value * HEAD_ADA
    if name.startswith("blocks.") and name.endswith("ada_lin.1.weight"):
        value *= BLOCK_ADA
        value[: 2 * width] *= gates / BLOCK_ADA
    return value


def var_state(shapes: dict[str, torch.Size], *, geometry: Geometry, gates: float, head: float, seed: int) -> dict[str, Tensor]:
    """All parameters of a transformer, in the order of `shapes`."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: var_tensor(name, shape, geometry=geometry, gates=gates, head=head, generator=generator)
        for name, shape in shapes.items()
    }


def vae_state(shapes: dict[str, torch.Size], *, seed: int) -> dict[str, Tensor]:
    """All parameters of an autoencoder: 1 / sqrt(fan in) keeps a layer's scale, unit norms, N(0, 1) codes."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in shapes.items():
        if name == "quantize.embedding.weight":
            state[name] = torch.randn(shape, generator=generator)
        elif len(shape) > 1:
            state[name] = _normal(shape, math.prod(shape[1:]) ** -0.5, generator)
        else:
            state[name] = torch.zeros(shape) if name.endswith("bias") else torch.ones(shape)
    return state
