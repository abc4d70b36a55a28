"""Sublayer outputs of one stage at the size of the next."""

import torch
from torch import Tensor
from torch.nn import functional as F

from sdaccel.errors import BadInput
from sdaccel.generators.nextscale.canvas import as_map, as_tokens

MODES = ("bilinear", "nearest", "bicubic")


def check_mode(mode: str) -> None:
    """Raise BadInput for one that is unknown."""
    if mode not in MODES:
        raise BadInput(f"strategy.interpolation_mode={mode} is unknown; choose {', '.join(MODES)}.")


def interpolate(x: Tensor, side: int, mode: str) -> Tensor:
    """(R, p^2, C) to (R, side^2, C); corners stay corners but for `nearest`, which has none."""
    maps = as_map(x)
    if mode == "nearest":
        return as_tokens(F.interpolate(maps, size=(side, side), mode=mode))
    return as_tokens(F.interpolate(maps, size=(side, side), mode=mode, align_corners=True))


def similarity(x: Tensor, y: Tensor) -> Tensor:
    """Cosine over channels, the mean over tokens: (R,) in float32 or wider."""
    wide = torch.promote_types(x.dtype, torch.float32)
    return F.cosine_similarity(x.to(wide), y.to(wide), dim=-1, eps=1e-8).mean(-1)
