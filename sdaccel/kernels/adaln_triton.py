"""Triton kernels of `adaln`: one program per token, every number read once and written once.

One compiled kernel serves every batch shape and scale: what varies between them is no constant of the kernel.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor


@triton.jit(do_not_specialize=["length"])
def adaln_kernel(  # type: ignore[no-untyped-def]  # pointers and numbers of the kernel language
    x,
    gate,
    branch,
    one_plus,
    shift,
    out,
    length,
    WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
    ADD: tl.constexpr,
    NORM: tl.constexpr,
):
    token = tl.program_id(0).to(tl.int64)
    c = tl.arange(0, BLOCK)
    here = c < WIDTH
    place = token * WIDTH + c
    of_row = token // length * WIDTH + c
    value = tl.load(x + place, mask=here, other=0.0)
    if ADD:
        value += tl.load(gate + of_row, mask=here, other=0.0) * tl.load(branch + place, mask=here, other=0.0).to(tl.float32)
        tl.store(x + place, value, mask=here)
    if NORM:
        centred = tl.where(here, value - tl.sum(value, 0) / WIDTH, 0.0)
        unit = centred * (1.0 / tl.sqrt_rn(tl.sum(centred * centred, 0) / WIDTH + 1e-6))
        made = unit * tl.load(one_plus + of_row, mask=here, other=0.0) + tl.load(shift + of_row, mask=here, other=0.0)
        tl.store(out + place, made.to(out.dtype.element_ty), mask=here)


@triton.jit(do_not_specialize=["length"])
def place_kernel(  # type: ignore[no-untyped-def]
    qkv, factor, keys, values, q_out, length, key_row, key_head, value_row, value_head,
    HEADS: tl.constexpr, BLOCK: tl.constexpr, DIM: tl.constexpr
):  # fmt: skip
    token = tl.program_id(0).to(tl.int64)
    row, position = token // length, token % length
    h = tl.arange(0, BLOCK)[:, None]
    d = tl.arange(0, DIM)[None, :]
    here = (h < HEADS) & (d < DIM)
    width = HEADS * DIM
    within = h * DIM + d
    source = qkv + token * 3 * width + within
    q = tl.load(source, mask=here, other=0.0).to(tl.float32)
    k = tl.load(source + width, mask=here, other=0.0).to(tl.float32)
    v = tl.load(source + 2 * width, mask=here, other=0.0)
    of_q = tl.load(factor + h, mask=h < HEADS, other=0.0)
    of_k = tl.load(factor + HEADS + h, mask=h < HEADS, other=0.0)
    q = q / tl.maximum(tl.sqrt_rn(tl.sum(q * q, 1)), 1e-12)[:, None] * of_q
    k = k / tl.maximum(tl.sqrt_rn(tl.sum(k * k, 1)), 1e-12)[:, None] * of_k
    tl.store(q_out + token * width + within, q.to(q_out.dtype.element_ty), mask=here)
    key_place = row * key_row + h * key_head + position * DIM + d
    value_place = row * value_row + h * value_head + position * DIM + d
    tl.store(keys + key_place, k.to(keys.dtype.element_ty), mask=here)
    tl.store(values + value_place, v, mask=here)


def adaln(x: Tensor, gate: Tensor | None, branch: Tensor | None, one_plus: Tensor, shift: Tensor, dtype: torch.dtype) -> Tensor:
    """`adaln.add_modulated`, or without gate and branch `adaln.modulated`."""
    out = torch.empty_like(x, dtype=dtype)
    _launch(x, gate, branch, one_plus, shift, out)
    return out


def add(x: Tensor, gate: Tensor, branch: Tensor) -> Tensor:
    """`adaln.add_gated`."""
    _launch(x, gate, branch, None, None, None)
    return x


def _launch(
    x: Tensor, gate: Tensor | None, branch: Tensor | None, one_plus: Tensor | None, shift: Tensor | None, out: Tensor | None
) -> None:
    rows, length, width = x.shape
    given = [None if t is None else t.contiguous() for t in (gate, branch, one_plus, shift)]
    if not x.is_contiguous():
        raise ValueError("the residual stream is written in place and must be contiguous")
    block = triton.next_power_of_2(width)
    adaln_kernel[(rows * length,)](
        x,
        *(x if t is None else t for t in given),  # what is not given is not read
        x if out is None else out,
        length,
        WIDTH=width,
        BLOCK=block,
        ADD=branch is not None,
        NORM=out is not None,
        num_warps=max(1, min(8, block // 256)),
        enable_fp_fusion=False,  # products round as torch rounds them
    )


def place_triton(qkv: Tensor, factor: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """`adaln.place`; in the cache the numbers of one head at one token, and the tokens of one head, lie side by side."""
    rows, length, _, heads, dim = qkv.shape
    if any(cache.stride()[2:] != (dim, 1) for cache in (keys, values)):
        raise ValueError(f"a head's tokens must lie side by side in the cache, not at strides {keys.stride()[2:]}")
    q = torch.empty(rows, length, heads, dim, dtype=qkv.dtype, device=qkv.device)
    place_kernel[(rows * length,)](
        qkv.contiguous(),
        factor.contiguous(),
        keys,
        values,
        q,
        length,
        keys.stride(0),
        keys.stride(1),
        values.stride(0),
        values.stride(1),
        HEADS=heads,
        BLOCK=triton.next_power_of_2(heads),
        DIM=dim,
        num_warps=4,
        enable_fp_fusion=False,
    )
    return q.transpose(1, 2)
