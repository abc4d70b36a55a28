"""The Triton kernel of `group_affine`: a lane per channel and image, which reads its whole group."""

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 256


@triton.jit(do_not_specialize=["total"])
def group_affine_kernel(  # type: ignore[no-untyped-def]
    moments, weight, bias, out, total, eps, CHANNELS: tl.constexpr, SIZE: tl.constexpr, BLOCK: tl.constexpr
):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = i < total
    channel = i % CHANNELS
    first = i - channel % SIZE
    mean = tl.zeros([BLOCK], tl.float32)
    square = tl.zeros([BLOCK], tl.float32)
    for j in tl.static_range(SIZE):
        mean += tl.load(moments + first + j, mask=here, other=0.0)
        square += tl.load(moments + total + first + j, mask=here, other=0.0)
    mean = mean / SIZE
    variance = tl.maximum(square / SIZE - mean * mean, 0.0)
    factor = tl.load(weight + channel).to(tl.float32) * tl.rsqrt(variance + eps)
    tl.store(out + i, factor, mask=here)
    tl.store(out + total + i, tl.load(bias + channel).to(tl.float32) - mean * factor, mask=here)


def group_affine_triton(moments: Tensor, weight: Tensor, bias: Tensor, *, groups: int, eps: float) -> Tensor:
    """`group_affine.group_affine` for moments in float32."""
    _, rows, channels = moments.shape
    out = torch.empty((2, rows, channels), dtype=torch.float32, device=moments.device)
    total = rows * channels
    group_affine_kernel[(triton.cdiv(total, BLOCK),)](
        moments, weight, bias, out, total, eps, CHANNELS=channels, SIZE=channels // groups, BLOCK=BLOCK
    )
    return out
