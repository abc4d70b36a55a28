"""What a GroupNorm does to every channel once its moments are known: x factor + shift (plain torch; Triton kernel beside it).

A call of its own, so that a compiler which fuses the normalisation reads two numbers per channel and image, instead of working
them out from the group's moments again at every pixel.
"""

import torch
from torch import Tensor


def group_affine(moments: Tensor, weight: Tensor, bias: Tensor, *, groups: int, eps: float) -> Tensor:
    """(2, B, C), factor and shift, from the means of x and of its square per channel, (2, B, C) in at least float32."""
    if moments.is_cuda and moments.dtype == torch.float32:
        from sdaccel.kernels.group_affine_triton import group_affine_triton

        return group_affine_triton(moments, weight, bias, groups=groups, eps=eps)
    return group_affine_reference(moments, weight, bias, groups=groups, eps=eps)


def group_affine_reference(moments: Tensor, weight: Tensor, bias: Tensor, *, groups: int, eps: float) -> Tensor:
    size = moments.shape[-1] // groups
    mean, square = moments.unflatten(2, (groups, size)).mean(-1).repeat_interleave(size, -1)
    factor = (square - mean.square()).clamp_min(0).add(eps).rsqrt() * weight
    return torch.stack([factor, bias - mean * factor])
