"""Where two engines draw different tokens from the same inputs, and whether rounding explains it.

The reference generates; the other engine sees the reference's canvas at every scale, so that one flipped token cannot hide
behind another. Rounding explains a flip when the two codes' keys, l - log E, are no further apart than the logits of the two
engines: gap <= 2 max |l - l'| + a few float32 units of the eager race. A code that the reference had filtered out is never
explained so: it is listed with an infinite gap.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sdaccel.generators.nextscale.canvas import as_tokens, shrink
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE
from sdaccel.generators.nextscale.tokens import PhiloxRace, combine, keep
from sdaccel.generators.var.engine_fast import FastRun
from sdaccel.generators.var.model import VAR
from sdaccel.generators.var.sampler import GuidedRun, Sampling, ScaleLoop
from sdaccel.kernels import race
from sdaccel.kernels.race import guided_race, knobs

RACE_ROUNDING = 2.0**-21
"""Relative error of softmax, noise and quotient in the eager race, in float32."""


@dataclass(frozen=True)
class Difference:
    """One token that two engines draw differently."""

    sample: int
    position: int
    reference: int
    other: int
    gap: float
    """How far the reference's code is ahead, in the reference's own race; infinite if it had filtered the other one out."""
    error: float
    """Largest difference of the token's guided logits between the engines."""

    @property
    def explained(self) -> bool:
        return self.gap <= 2 * self.error + RACE_ROUNDING


@dataclass(frozen=True)
class Agreement:
    differences: list[Difference]
    relative_l2: float
    """Of all raw logits."""
    tokens: int


@torch.no_grad()
def agreement(
    run: FastRun, vae: VQVAE, labels: Tensor, seeds: Tensor, *, sampling: Sampling, model: VAR | None = None
) -> Agreement:
    """Compare the loaded fast run with the eager reference scale by scale; the run's own model unless another is given."""
    seen: list[Tensor] = []

    def record(name: str, value: Tensor) -> None:
        if name == "logits_raw_2B":
            seen.append(value)

    model = run.model if model is None else model
    loop = ScaleLoop(model, vae, labels, noise=PhiloxRace(seeds), sampling=sampling, record=record)
    differences: list[Difference] = []
    squares = [0.0, 0.0]
    scales = len(model.geometry.patch_nums)
    for k in range(scales):
        raw = forced(run, loop.canvas.f_hat, k)
        loop.full(k)
        options = knobs(t=sampling.cfg * (k / (scales - 1)), top_k=sampling.top_k, top_p=sampling.top_p, device=raw.device)
        drawn = guided_race(raw, seeds, options, start=model.offsets[k])
        differences += compare(seen[k], raw, loop.tokens[k], drawn, seeds, options, start=model.offsets[k])
        squares = [squares[0] + float((raw - seen[k]).square().sum()), squares[1] + float(seen[k].square().sum())]
    return Agreement(differences, math.sqrt(squares[0] / squares[1]), loop.finish().tokens.numel())


def forced(run: GuidedRun, f_hat: Tensor, k: int) -> Tensor:
    """Raw logits of scale k on a given canvas."""
    if k == 0:
        return run.logits(run.advance(run.begin(), first=0, last=0))
    maps = as_tokens(shrink(f_hat, run.model.geometry.patch_nums[k]))
    return run.logits(run.advance(run.embed(maps, first=k, last=k), first=k, last=k))


def compare(
    reference: Tensor, other: Tensor, tokens: Tensor, drawn: Tensor, seeds: Tensor, options: Tensor, *, start: int
) -> list[Difference]:
    """Every token of one scale that differs, from both engines' raw logits (2B, l, V) and tokens (B, l)."""
    t, top_k, top_p = options.tolist()
    guided, theirs = combine(reference, t), combine(other, t)
    keys = race.keys(keep(guided, top_k=int(top_k), top_p=top_p), seeds, start=start)
    error = (guided - theirs).abs().amax(-1)
    out = []
    for b, i in (tokens != drawn).nonzero().tolist():
        ours, others = int(tokens[b, i]), int(drawn[b, i])
        gap = float(keys[b, i, ours] - keys[b, i, others])
        out.append(Difference(b, start + i, ours, others, gap, float(error[b, i])))
    return out
