"""Guidance, filters and the exponential race of one scale in one call (plain torch; Triton kernel beside it).

    l = (1 + t) cond - t uncond      token = argmax over kept v of log(p_v / E_v) = argmax of l_v - log E_v

B samples · l tokens · V codes. E is element (position in the sequence) * V + v of the sample's RACE stream, as everywhere. The
race is run in float64, where two codes are closer than any two libraries' logarithms differ with probability 1e-15 per token:
that, not equal arithmetic, is why the kernel draws the reference's tokens on every device. The normaliser of p cancels.

Logits may come as the head made them, in half precision: they are widened where they are read.

Floor: the logits are read once, 8 B l V bytes in float32 and half of that in half precision, and 8 B l are written. 256 px,
V = 4096, B = 32: 0.7 GB for the 680 tokens of an image in float32, 0.17 ms at 4.26 TB/s. The reference also writes noise and
keys.
"""

import torch
from torch import Tensor

from sdaccel.kernels.filters import kept, threshold
from sdaccel.noise import Stream, exponential


def knobs(*, t: float, top_k: int, top_p: float, device: torch.device) -> Tensor:
    """Guidance and filters as float64 (3,) on the device: a captured graph reads new values from where it read the old."""
    return torch.tensor([t, top_k, top_p], dtype=torch.float64, device=device)


def guided_race(raw: Tensor, seeds: Tensor, knobs: Tensor, *, start: int) -> Tensor:
    """Tokens (B, l) int64 of raw logits (2B, l, V) as [cond; uncond]; `start` is the position of the first token."""
    if raw.is_cuda and raw.dtype != torch.float64:
        from sdaccel.kernels.race_triton import guided_race_triton

        return guided_race_triton(raw, seeds, knobs, start=start)
    return guided_race_reference(raw, seeds, knobs, start=start)


def guided_race_reference(raw: Tensor, seeds: Tensor, knobs: Tensor, *, start: int) -> Tensor:
    """The definition."""
    t, top_k, top_p = knobs.tolist()
    cond, uncond = raw.to(torch.promote_types(raw.dtype, torch.float32)).chunk(2)
    return race(filtered((1 + t) * cond - t * uncond, top_k=int(top_k), top_p=top_p), seeds, start=start)


def filtered(logits: Tensor, *, top_k: int, top_p: float) -> Tensor:
    """-inf where top-k or top-p drop a code."""
    if top_k == 0 and top_p == 0:
        return logits
    return logits.masked_fill(~kept(logits, threshold(logits, top_k=top_k, top_p=top_p)), float("-inf"))


def keys(logits: Tensor, seeds: Tensor, *, start: int) -> Tensor:
    """log(p / E) up to a constant per token, float64 (B, l, V): the largest wins."""
    length, vocab = logits.shape[1:]
    return logits.double() - exponential(seeds, Stream.RACE, (length, vocab), start=start * vocab).double().log()


def race(logits: Tensor, seeds: Tensor, *, start: int) -> Tensor:
    """Tokens (B, l) of filtered logits (B, l, V); the lowest code wins a draw."""
    return keys(logits, seeds, start=start).argmax(-1)
