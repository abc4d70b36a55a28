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

from sdaccel.generators.nextscale.canvas import Canvas
from sdaccel.generators.nextscale.loop import ScaleLoop
from sdaccel.generators.nextscale.run import GuidedRun
from sdaccel.generators.nextscale.tokens import PhiloxRace, Sampling, combine, keep
from sdaccel.generators.var.engine_run import FastRun
from sdaccel.generators.var.sampler import VarModel
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
    """Relative difference of all raw logits."""
    tokens: int


@torch.no_grad()
def agreement(run: FastRun, labels: Tensor, seeds: Tensor, *, sampling: Sampling, model: VarModel | None = None) -> Agreement:
    """Compare the loaded fast run with the eager reference scale by scale; the run's own model unless another is given."""
    seen: list[Tensor] = []

    def record(name: str, value: Tensor) -> None:
        if name == "logits_raw_2B":
            seen.append(value)

    loop = ScaleLoop(model or run.model, labels, noise=PhiloxRace(seeds), sampling=sampling, record=record)
    differences: list[Difference] = []
    squares, layout = [0.0, 0.0], run.layout
    for k in range(layout.scales):
        raw, draw, start = forced(run, loop.canvas, k), sampling.at(k), layout.token_start(k)
        loop.full(k)
        options = knobs(t=draw.t, top_k=draw.top_k, top_p=draw.top_p, device=raw.device)
        drawn = guided_race(raw, seeds, options, start=start)
        differences += compare(seen[k], raw, loop.tokens[k], drawn, seeds, options, start=start)
        squares = [squares[0] + float((raw - seen[k]).square().sum()), squares[1] + float(seen[k].square().sum())]
    return Agreement(differences, math.sqrt(squares[0] / squares[1]), loop.finish().tokens.numel())


def forced(run: GuidedRun, canvas: Canvas, k: int) -> Tensor:
    """Raw logits of scale k, the next one, on a given canvas."""
    x = run.begin() if k == 0 else run.embed(canvas.next_input(), first=k, last=k)
    return run.logits(run.layout.token_rows(run.advance(x, first=k, last=k), first=k))


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
