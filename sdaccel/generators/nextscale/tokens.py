"""From a scale's logits to its tokens: guidance, filters and the exponential race argmax(p / E), an exact draw from p.

B samples · l tokens of the scale · V codes · logits (B, l, V), with guidance (2B, l, V) as [cond; uncond]
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

import torch
from torch import Tensor

from sdaccel.generators.nextscale.layout import Layout
from sdaccel.kernels.philox import exponential
from sdaccel.noise import Stream


class Draw(NamedTuple):
    """How the logits of one scale become tokens and codes."""

    t: float
    """Guidance: (1 + t) cond - t uncond."""
    top_k: int
    """Codes kept by rank; 0 keeps all."""
    top_p: float
    """Codes kept by cumulative probability; 0 keeps all."""
    smoothing: float | None = None
    """more_smooth: the `ratio` of `soft_weights`; None paints the code that was drawn."""


@dataclass(frozen=True)
class Sampling:
    """How every scale is drawn."""

    scales: Sequence[Draw]

    def at(self, scale: int) -> Draw:
        return self.scales[scale]

    @property
    def smooth(self) -> bool:
        """Some scale is painted with a mix of codes."""
        return any(draw.smoothing is not None for draw in self.scales)

    def guidance(self, layout: Layout, first: int, last: int) -> Tensor:
        """t of every token of scales first .. last, float64 (l,)."""
        t = torch.tensor([draw.t for draw in self.scales[first : last + 1]], dtype=torch.float64)
        return t.repeat_interleave(torch.tensor(layout.lengths(first, last)))


def combine(raw: Tensor, t: float) -> Tensor:
    """Classifier-free guidance (1 + t) cond - t uncond of rows [cond; uncond]."""
    cond, uncond = raw.chunk(2)
    return (1 + t) * cond - t * uncond


def combine_scales(raw: Tensor, t: Tensor) -> Tensor:
    """`combine` of several scales at once: t (l,), float64, is the guidance of every token."""
    cond, uncond = raw.chunk(2)
    t = t.to(raw.device).unsqueeze(1)
    return (1 + t).to(raw.dtype) * cond - t.to(raw.dtype) * uncond


def keep_top_k(logits: Tensor, top_k: int) -> Tensor:
    """-inf below the k-th largest logit; ties with it stay. 0 keeps all."""
    if top_k == 0:
        return logits
    kth = logits.topk(top_k, dim=-1, sorted=False).values.amin(-1, keepdim=True)
    return logits.masked_fill(logits < kth, float("-inf"))


def keep_top_p(logits: Tensor, top_p: float) -> Tensor:
    """-inf where the probability cumulated from the least likely code on is <= 1 - p; the most likely stays. 0 keeps all."""
    if top_p == 0:
        return logits
    ascending, order = logits.sort(dim=-1)
    drop = ascending.softmax(-1).cumsum(-1) <= 1 - top_p
    drop[..., -1] = False
    return logits.masked_fill(drop.scatter(-1, order, drop), float("-inf"))


def keep(logits: Tensor, *, top_k: int, top_p: float) -> Tensor:
    """Top-k, then top-p among what is left."""
    return keep_top_p(keep_top_k(logits, top_k), top_p)


def race(logits: Tensor, noise: Tensor) -> Tensor:
    """argmax(softmax(logits) / E), int64 (B, l)."""
    return (logits.softmax(-1) / noise).argmax(-1)


def soft_weights(logits: Tensor, noise: Tensor, *, ratio: float) -> Tensor:
    """more_smooth: Gumbel softmax of the filtered logits x (1 + ratio), colder at later scales; ratio = k / (K - 1)."""
    temperature = max(0.27 * (1 - 0.95 * ratio), 0.005)
    return ((logits * (1 + ratio) - noise.log()) / temperature).softmax(-1)


class Race(Protocol):
    """Where Exp(1) noise (B, length, vocab) for tokens start .. start+length-1 comes from; tokens first, then smoothing."""

    def tokens(self, start: int, length: int, vocab: int) -> Tensor: ...

    def smoothing(self, start: int, length: int, vocab: int) -> Tensor: ...


class PhiloxRace:
    """Noise by sample seed and element (token position) * V + v: the same in every batch, order and strategy."""

    def __init__(self, seeds: Tensor) -> None:
        self.seeds = seeds  # (B,) int64

    def of(self, rows: Sequence[int]) -> Self:
        """That of some samples."""
        return type(self)(self.seeds.index_select(0, torch.tensor(rows, device=self.seeds.device)))

    def tokens(self, start: int, length: int, vocab: int) -> Tensor:
        return exponential(self.seeds, Stream.RACE, (length, vocab), start=start * vocab)

    def smoothing(self, start: int, length: int, vocab: int) -> Tensor:
        return exponential(self.seeds, Stream.GUMBEL, (length, vocab), start=start * vocab)
