"""Random weights of HART, in which text, blocks, codes and residual head all matter."""

from torch import Tensor

from sdaccel.generators.nextscale.init import Shapes, unit_scale

QKV = 2.0
"""Factor on queries, keys and values, without which HART's small softmax scale makes attention a plain mean."""


def random(shapes: Shapes, *, seed: int) -> dict[str, Tensor]:
    """All parameters: N(0, 1 / fan in), norms 1, biases 0."""
    return {name: value * QKV if "qkv_proj" in name else value for name, value in unit_scale(shapes, seed=seed).items()}
