"""Random weights from a generator of their own: VAR's published start of training.

C width · every Linear, embedding and position N(0, 1 / 3C), biases 0, then the factors below
"""

import math

import torch
from torch import Tensor

from sdaccel.generators.nextscale.init import Shapes
from sdaccel.generators.var.model import Geometry

GATES, ADA, HEAD = 1e-5, 0.5, 0.02
"""Factors on the gate rows of a block's adaLN (upstream's alng), on the other adaLN rows, on the head."""


def published(shapes: Shapes, *, geometry: Geometry, seed: int) -> dict[str, Tensor]:
    """All parameters of a transformer before training: gates near 0, so blocks hardly change anything yet."""
    generator = torch.Generator().manual_seed(seed)
    return {name: _published(name, shape, geometry, generator) for name, shape in shapes.items()}


def _published(name: str, shape: torch.Size, geometry: Geometry, generator: torch.Generator) -> Tensor:
    """One parameter. Upstream truncates at +-2, more than 30 sigma away, so a plain normal is the same."""
    width = geometry.width
    if name.endswith("scale_mul_1H11"):
        return torch.full(shape, math.log(4))
    if name.endswith("bias"):
        return torch.zeros(shape)
    value = torch.randn(shape, generator=generator)
    if name.endswith("ada_gss"):
        value[:, :, :2] *= GATES
        value[:, :, 2:] *= ADA
        return value * width**-0.5
    value *= (3 * width) ** -0.5
    if name.endswith(("attn.proj.weight", "ffn.fc2.weight")):
        value /= math.sqrt(2 * geometry.depth)
    elif name == "head.weight":
        value *= HEAD
    elif name.endswith("ada_lin.1.weight"):
        gates = 2 * width if name.startswith("blocks.") else 0
        value[:gates] *= GATES
        value[gates:] *= 1.0 if name.startswith("shared_ada_lin") else ADA
    return value
