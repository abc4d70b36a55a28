"""Noise as an input: every random number is a pure function of (sample seed, stream, index).

Philox4x32-10 (Salmon et al., SC 2011) in plain torch, the same integers on CPU and GPU. Key = the sample's 64-bit seed,
counter = (block low, block high, stream, 0); element e of a stream is lane e % 4 of block e // 4. Batch, rank and device
never enter, so two runs of one sample are paired whatever computes them.

Floats are taken in float64 and rounded once, so that a last-bit difference between two libraries' logarithms survives
the rounding with probability 2^-29 only.
"""

import math
from collections.abc import Sequence
from enum import IntEnum

import torch
from torch import Tensor

MASK = 0xFFFFFFFF
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)


class Stream(IntEnum):
    """One independent stream of numbers per use; values are part of the protocol and never change."""

    LATENT = 0
    RACE = 1
    ACCEPT = 2
    RESIDUAL = 3
    HEAD = 4
    GUMBEL = 5
    CONDITION = 6
    SEED = 7
    SPARSE = 8


def _mulhilo(a: int, b: Tensor) -> tuple[Tensor, Tensor]:
    """High and low words of a 32 x 32 bit product: int64 holds all 64 bits, as a negative number where the highest is set."""
    product = a * b
    return (product >> 32) & MASK, product & MASK


def philox4x32(counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """Ten rounds; all words are int64 tensors that hold 32-bit values and broadcast."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        hi0, lo0 = _mulhilo(MULTIPLIERS[0], c0)
        hi1, lo1 = _mulhilo(MULTIPLIERS[1], c2)
        c0, c1, c2, c3 = hi1 ^ c1 ^ k0, lo1, hi0 ^ c3 ^ k1, lo0
        k0, k1 = (k0 + WEYL[0]) & MASK, (k1 + WEYL[1]) & MASK
    return c0, c1, c2, c3


def words(seeds: Tensor, stream: Stream, *, start: int, count: int) -> Tensor:
    """32-bit words start .. start+count-1 of a stream for every seed, int64 (B, count)."""
    first = start // 4
    blocks = torch.arange(first, (start + count + 3) // 4, device=seeds.device).unsqueeze(0)  # (1, blocks)
    zero = torch.zeros_like(blocks)
    key = ((seeds & MASK).unsqueeze(1), ((seeds >> 32) & MASK).unsqueeze(1))
    lanes = philox4x32((blocks & MASK, blocks >> 32, zero + int(stream), zero), key)
    flat = torch.stack(torch.broadcast_tensors(*lanes), -1).flatten(1)
    return flat[:, start - 4 * first :][:, :count]


def _unit(seeds: Tensor, stream: Stream, shape: Sequence[int], start: int) -> Tensor:
    """Float64 in (0, 1), (B, *shape): 2^-32 apart and never 0 or 1."""
    bits = words(seeds, stream, start=start, count=math.prod(shape))
    return ((bits.double() + 0.5) * 2.0**-32).view(len(seeds), *shape)


def uniform(seeds: Tensor, stream: Stream, shape: Sequence[int], *, start: int = 0) -> Tensor:
    """Float32 in (0, 1): the largest value rounds to 1 - 2^-24, not to 1."""
    return _unit(seeds, stream, shape, start).float().clamp_(max=1 - 2.0**-24)


def exponential(seeds: Tensor, stream: Stream, shape: Sequence[int], *, start: int = 0) -> Tensor:
    """Exp(1) float32. -log1p(-u) keeps full resolution near 0, where the winners of a race over many classes lie."""
    return -torch.log1p(-_unit(seeds, stream, shape, start)).float()


def normal(seeds: Tensor, stream: Stream, shape: Sequence[int], *, start: int = 0) -> Tensor:
    """N(0, 1) float32 by Box-Muller: element e uses words 2e and 2e + 1."""
    u = _unit(seeds, stream, (*shape, 2), 2 * start)
    return (torch.sqrt(-2 * torch.log(u[..., 0])) * torch.cos(2 * math.pi * u[..., 1])).float()


def sample_seeds(seed: int, indices: Sequence[int]) -> Tensor:
    """The 63-bit seed of every sample of a study: a function of the study's seed and the sample's index alone."""
    own = torch.tensor([seed], dtype=torch.int64)
    first = min(indices)
    pairs = words(own, Stream.SEED, start=2 * first, count=2 * (max(indices) - first + 1)).view(-1, 2)
    low, high = pairs[torch.tensor(indices) - first].unbind(1)
    return low | ((high & 0x7FFFFFFF) << 32)
