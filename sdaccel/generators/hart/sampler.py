"""HART with its tokenizer, as the next-scale loop drives them: text in, codes and a residual out.

B samples · R = 2B rows [cond; uncond] · k scale of K · t = cfg k / (K - 1), but at the last scale what it was before
"""

from functools import partial
from typing import Any, NamedTuple, Protocol, cast

import torch
from torch import Tensor

from sdaccel.generators.hart.context import Context
from sdaccel.generators.hart.diffusion import Chain, Trace, denoised, unwatched
from sdaccel.generators.hart.head import ResidualNet
from sdaccel.generators.hart.model import HART, Angles, attend, attend_by_scale
from sdaccel.generators.nextscale.canvas import Canvas, wide
from sdaccel.generators.nextscale.kv import KVCache
from sdaccel.generators.nextscale.seam import Sublayers
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE
from sdaccel.generators.nextscale.tokens import Draw, PhiloxRace, Race, Sampling
from sdaccel.kernels.philox import normal
from sdaccel.noise import Stream

TOP_K = (600, 300)
"""Codes kept by rank before and from scale `NARROW` on, whatever a caller asks of the official code."""
NARROW = 7
RESIDUAL_SCALE = 0.6
"""The head's range of [-1, 1] in units of a code."""


def stale_guidance(*, scales: int, vocab: int, cfg: float, more_smooth: bool) -> Sampling:
    """HART's sampling: guidance and smoothing grow with the scale, but the last scale keeps those of the one before."""
    ratios = [min(k, scales - 2) / (scales - 1) for k in range(scales)]
    kept = [min(TOP_K[k >= NARROW], vocab) for k in range(scales)]
    return Sampling([Draw(cfg * r, k, 0.0, r if more_smooth else None) for r, k in zip(ratios, kept, strict=True)])


class HeadNoise(Protocol):
    """A race whose samples also have noise for the residual head."""

    def head(self, step: int, tokens: int, channels: int) -> Tensor:
        """N(0, 1) (B, tokens, channels): 0 is where the chain begins, n what its n-th step adds."""
        ...


class HartRace(PhiloxRace):
    """All noise of HART by sample seed: a step's is the same however many steps there are."""

    def head(self, step: int, tokens: int, channels: int) -> Tensor:
        return normal(self.seeds, Stream.HEAD, (tokens, channels), start=step * tokens * channels)


class Given(NamedTuple):
    """What every scale reads: of the text, and what the model says of any."""

    text: Tensor
    """(R, T, C)"""
    levels: Tensor
    """(K, C)"""
    at: Angles
    head: Tensor
    """(2, R, 1, C)"""


class HartModel:
    """A `NextScaleModel`."""

    def __init__(self, hart: HART, vae: VQVAE, *, chain: Chain | None) -> None:
        self.hart, self.vae, self.layout, self.chain = hart, vae, hart.layout, chain  # chain None: no residual
        g = hart.geometry
        self.layers, self.heads, self.head_dim = g.depth, g.heads, g.head_dim
        self.device, self.dtype = hart.head.weight.device, hart.head.weight.dtype
        self.codebook: Tensor = vae.quantize.embedding.weight

    def prepare(self, condition: Any) -> Any:
        """From a `Context`; the other half is told nothing, at position 0."""
        context = cast(Context, condition)
        hidden = context.hidden.to(self.device, torch.promote_types(self.dtype, torch.float32))
        positions = context.positions.to(self.device)
        text = self.hart.read(torch.cat([hidden, torch.zeros_like(hidden)]))
        at = self.hart.angles(torch.cat([positions, torch.zeros_like(positions)]))
        return Given(text, self.hart.levels(), at, self.hart.head_modulation(text))

    def begin(self, given: Any) -> Tensor:
        return given.text + given.levels[0]

    def embed(self, given: Any, maps: Tensor, *, first: int, last: int) -> Tensor:
        return self.hart.embed_maps(maps, given.levels, first=first, last=last).repeat(2, 1, 1)

    def run_blocks(
        self, given: Any, x: Tensor, *, first: int, last: int, kv: KVCache, bias: Tensor | None, sublayers: Sublayers | None
    ) -> Tensor:
        layout = self.layout
        seen = partial(attend, bias=bias)
        if bias is None and first != last:
            seen = partial(attend_by_scale, rows=[layout.rows(k) for k in range(first, last + 1)])
        at = given.at.rows(layout.row_start(first), layout.row_start(last + 1))
        return self.hart.run_blocks(x, at=at, kv=kv, attend=seen, sublayers=sublayers)

    def logits(self, given: Any, h: Tensor) -> Tensor:
        return self.hart.logits(h, given.head)

    def codes_of(
        self, tokens: Tensor, hidden: Tensor | None, scale: int, *, weights: Tensor | None, t: float, noise: Race
    ) -> Tensor:
        """A lookup, and at the last scale what the residual head adds to it."""
        drawn = self.codebook[tokens]
        codes = wide(drawn if weights is None else weights @ self.codebook.to(weights.dtype))
        if self.chain is None or scale != self.layout.scales - 1:
            return codes
        assert hidden is not None, "the residual head reads block output"
        z = self.hart.told(hidden, drawn.repeat(2, 1, 1))
        return codes + self.residual(z, t=t, noise=cast(HeadNoise, noise))

    def residual(self, z: Tensor, *, t: float, noise: HeadNoise, trace: Trace = unwatched) -> Tensor:
        """(B, l, Cvae) from z (R, l, C)."""
        assert self.chain is not None, "a model without a residual has no chain"
        rows, tokens, channels = len(z) // 2, z.shape[1], self.codebook.shape[1]
        found = denoised(
            partial(guided_noise, self.hart.diffloss.net, z=z.flatten(0, 1), t=t),
            lambda step: noise.head(step, tokens, channels).to(z.device).view(-1, channels),
            self.chain,
            trace=trace,
        )
        return RESIDUAL_SCALE * found.view(rows, tokens, channels)

    def canvas(self, rows: int) -> Canvas:
        return self.vae.canvas(self.layout, rows=rows)

    def decode(self, f_hat: Tensor) -> Tensor:
        return self.vae.decode(f_hat)


def guided_noise(net: ResidualNet, x: Tensor, timestep: int, *, z: Tensor, t: float) -> Tensor:
    """The head's output for x (N, C) under z (2N, W), [cond; uncond]: its noise is guided, its variance is cond's.

    At t = 1 exactly the official code takes the branch without guidance, and so does this.
    """
    time = torch.full((1,), timestep, device=x.device)
    if t == 1.0:
        return wide(net(x, time, z[: len(x)]))
    cond, uncond = wide(net(x.repeat(2, 1), time, z)).chunk(2)
    channels = x.shape[1]
    eps = (1 + t) * cond[:, :channels] - t * uncond[:, :channels]
    return torch.cat([eps, cond[:, channels:]], 1)
