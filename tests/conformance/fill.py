"""The weight fill rule of goldens/README.md, section 1: every parameter is a function of its upstream key and shape."""

import math
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

Overrides = Mapping[str, Sequence[float]]
"""Key suffix -> (mean, std)."""


def mean_std(name: str, shape: Sequence[int], overrides: Overrides) -> tuple[float, float]:
    """Mean and deviation of a key; the first matching line of the rule wins."""
    leaf = name.rsplit(".", 1)[-1]
    for suffix, (mean, std) in overrides.items():
        if name.endswith(suffix):
            return mean, std
    if leaf == "scale_mul_1H11":
        return math.log(4), 0.1
    if leaf.endswith("bias"):
        return 0.0, 0.1
    if leaf == "weight" and len(shape) == 1:
        return 1.0, 0.1
    if name in ("class_emb.weight", "lvl_embed.weight", "pos_start", "pos_1LC"):
        return 0.0, 1.0
    if name == "quantize.embedding.weight" or leaf == "ada_gss":
        return 0.0, 0.5
    return 0.0, math.prod(shape[1:]) ** -0.5


def filled(name: str, shape: Sequence[int], overrides: Overrides | None = None) -> np.ndarray:
    """The float32 tensor of a key."""
    mean, std = mean_std(name, shape, overrides or {})
    z = np.random.RandomState(zlib.crc32(name.encode()) & 0xFFFFFFFF).standard_normal(math.prod(shape)).reshape(tuple(shape))
    return (mean + std * z).astype(np.float32)
