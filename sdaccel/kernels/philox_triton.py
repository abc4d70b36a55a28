"""Triton kernels of `philox`: a lane runs Philox for one block of four words and turns them into numbers where they are."""

import math
from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from sdaccel.noise import Stream

BLOCK = 256
"""Philox blocks of one program."""


@triton.jit
def words(seed, block, stream):  # type: ignore[no-untyped-def]  # values of the kernel language
    """The four words of a block (int64) of a stream."""
    low, high = (block & 0xFFFFFFFF).to(tl.uint32), (block >> 32).to(tl.uint32)
    zero = low * 0
    return tl.philox(seed, low, high, zero + stream, zero, n_rounds=10)


@triton.jit
def unit(word):  # type: ignore[no-untyped-def]
    """Float64 in (0, 1)."""
    return (word.to(tl.float64) + 0.5) * 2.3283064365386963e-10  # 2^-32


@triton.jit
def exponential_of(word):  # type: ignore[no-untyped-def]
    """Exp(1), rounded to float32. 1 - u is exact, so log serves as log1p."""
    return (-tl.log(1.0 - unit(word))).to(tl.float32)


@triton.jit
def normal_of(first, second):  # type: ignore[no-untyped-def]
    """N(0, 1) by Box-Muller, rounded to float32."""
    return (tl.sqrt(-2.0 * tl.log(unit(first))) * tl.cos(6.283185307179586 * unit(second))).to(tl.float32)


@triton.jit(do_not_specialize=["start", "count", "stream"])
def draw_kernel(seeds, out, start, count, stream, NORMAL: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    sample = tl.program_id(1).to(tl.int64)
    per_block: tl.constexpr = 2 if NORMAL else 4
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    w0, w1, w2, w3 = words(tl.load(seeds + sample), start // per_block + at, stream)
    if NORMAL:
        made = tl.interleave(normal_of(w0, w1), normal_of(w2, w3))
    else:
        even, odd = tl.interleave(w0, w2), tl.interleave(w1, w3)
        made = exponential_of(tl.interleave(even, odd))
    first = tl.program_id(0).to(tl.int64) * BLOCK * per_block
    element = first + tl.arange(0, BLOCK * per_block) - start % per_block
    tl.store(out + sample * count + element, made, mask=(element >= 0) & (element < count))


def exponential_triton(seeds: Tensor, stream: Stream, shape: Sequence[int], *, start: int) -> Tensor:
    """`philox.exponential`."""
    return _draw(seeds, stream, shape, start=start, per_block=4)


def normal_triton(seeds: Tensor, stream: Stream, shape: Sequence[int], *, start: int) -> Tensor:
    """`philox.normal`."""
    return _draw(seeds, stream, shape, start=start, per_block=2)


def _draw(seeds: Tensor, stream: Stream, shape: Sequence[int], *, start: int, per_block: int) -> Tensor:
    out = torch.empty(len(seeds), *shape, dtype=torch.float32, device=seeds.device)
    count = math.prod(shape)
    blocks = triton.cdiv(start % per_block + count, per_block)
    if out.numel():
        draw_kernel[(triton.cdiv(blocks, BLOCK), len(seeds))](
            seeds.contiguous(), out, start, count, int(stream), NORMAL=per_block == 2, BLOCK=BLOCK, enable_fp_fusion=False
        )
    return out
