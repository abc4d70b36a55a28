"""Random weights of HART, in which text, blocks, codes and residual head all matter."""

from torch import Tensor

from sdaccel.generators.nextscale.init import Shapes, unit_scale

FACTORS = {"attn.qkv_proj.weight": 2.0, "head_nm.ada_lin.1.weight": 0.25}
"""HART's small softmax scale would make attention a plain mean, and a text that shifts all tokens alike all tokens equal."""


def random(shapes: Shapes, *, seed: int) -> dict[str, Tensor]:
    """All parameters: N(0, 1 / fan in) but for these factors, norms 1, biases 0."""
    state = unit_scale(shapes, seed=seed)
    return {name: value * next((f for end, f in FACTORS.items() if name.endswith(end)), 1.0) for name, value in state.items()}
