"""The Triton kernel of `race`: one program per token, one read of its logits, nothing but the token written.

Thresholds are found bit by bit: float32 maps to unsigned integers in the same order, so 32 counts give the k-th largest logit
exactly and 32 masses give top-p's. Noise is computed where it is used: every lane runs Philox for its own element.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from sdaccel.kernels.philox_triton import exponential_of, words


@triton.jit
def ordered(x):  # type: ignore[no-untyped-def]
    """Float32 as uint32 in the same order; both zeros are one."""
    bits = tl.where(x == 0, 0.0, x).to(tl.uint32, bitcast=True)
    return tl.where(bits >> 31 == 1, bits ^ 0xFFFFFFFF, bits | 0x80000000)  # ~ is xor with -1, which NumPy 2.5 refuses


@triton.jit
def kth_key(key, top_k):  # type: ignore[no-untyped-def]
    """The largest c that at least top_k keys reach."""
    c = tl.full([], 0, tl.uint32)
    for i in range(32):
        trial = c | (tl.full([], 0x80000000, tl.uint32) >> i)
        c = tl.where(tl.sum((key >= trial).to(tl.int32)) >= top_k, trial, c)
    return c


@triton.jit
def mass_key(key, w, limit):  # type: ignore[no-untyped-def]
    """The largest c such that the mass of all keys under it stays within the limit."""
    c = tl.full([], 0, tl.uint32)
    for i in range(32):
        trial = c | (tl.full([], 0x80000000, tl.uint32) >> i)
        c = tl.where(tl.sum(tl.where(key < trial, w, 0.0)) <= limit, trial, c)
    return c


@triton.jit
def exponential(seed, element):  # type: ignore[no-untyped-def]
    """Exp(1) of elements (int64) of the RACE stream, rounded to float32, as float64."""
    w0, w1, w2, w3 = words(seed, element >> 2, 1)
    lane = element & 3
    word = tl.where(lane == 0, w0, tl.where(lane == 1, w1, tl.where(lane == 2, w2, w3)))
    return exponential_of(word).to(tl.float64)


@triton.jit(do_not_specialize=["start", "length", "programs"], do_not_specialize_on_alignment=["knobs"])
def guided_race_kernel(  # type: ignore[no-untyped-def]
    raw, seeds, knobs, out, start, length, programs, VOCAB: tl.constexpr, BLOCK: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    v = tl.arange(0, BLOCK)
    here = v < VOCAB
    t = tl.load(knobs)
    top_k = tl.load(knobs + 1).to(tl.int32)
    top_p = tl.load(knobs + 2)
    cond = tl.load(raw + row * VOCAB + v, mask=here, other=0.0).to(tl.float32)
    uncond = tl.load(raw + (programs + row) * VOCAB + v, mask=here, other=0.0).to(tl.float32)
    logits = tl.where(here, (1.0 + t).to(tl.float32) * cond - t.to(tl.float32) * uncond, float("-inf"))
    key = ordered(logits)
    least = tl.full([], 0, tl.uint32)
    fallen = tl.full([], 0, tl.int32)
    if top_k > 0:
        least = kth_key(key, top_k)
    if top_p > 0:
        most = tl.max(logits)
        w = tl.where(key >= least, tl.exp((logits - most).to(tl.float64)), 0.0)
        limit = (1.0 - top_p) * tl.sum(w)
        least = tl.minimum(mass_key(key, w, limit), tl.max(key))
        room = limit - tl.sum(tl.where(key < least, w, 0.0))
        tied = tl.sum((key == least).to(tl.int32))
        each = tl.max(tl.where(key == least, w, 0.0))
        fallen = tl.minimum(tl.maximum(tl.floor(room / each), 0.0), (tied - 1).to(tl.float64)).to(tl.int32)
    order = tl.cumsum((key == least).to(tl.int32), 0)
    keep = here & ((key > least) | ((key == least) & (order > fallen)))
    sample = row // length
    position = start + row % length
    noise = exponential(tl.load(seeds + sample), position * VOCAB + v)
    score = tl.where(keep, logits.to(tl.float64) - tl.log(noise), float("-inf"))
    tl.store(out + row, tl.argmax(score, 0).to(tl.int64))


def guided_race_triton(raw: Tensor, seeds: Tensor, knobs: Tensor, *, start: int) -> Tensor:
    """`race.guided_race` for logits of at most 32 bits."""
    rows, length, vocab = raw.shape
    raw = raw.contiguous()
    out = torch.empty(rows // 2, length, dtype=torch.int64, device=raw.device)
    block = triton.next_power_of_2(vocab)
    guided_race_kernel[(out.numel(),)](
        raw,
        seeds,
        knobs,
        out,
        start,
        length,
        out.numel(),
        VOCAB=vocab,
        BLOCK=block,
        num_warps=max(1, min(16, block // 512)),
        maxnreg=128,  # two programs on a multiprocessor: one counts while the other waits for its sums
        enable_fp_fusion=False,  # (1 + t) cond - t uncond rounds as torch rounds it
    )
    return out
