"""The scale loop: conditions and noise in, tokens and image out.

B samples · k scale of K · l tokens of the scale · V codes
"""

from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass

import torch
from torch import Tensor

from sdaccel.generators.nextscale.kv import KVCache
from sdaccel.generators.nextscale.model import NextScaleModel
from sdaccel.generators.nextscale.run import GuidedRun, of_rows
from sdaccel.generators.nextscale.seam import Pass, ScaleSeam, Sublayers, run_scales
from sdaccel.generators.nextscale.tokens import PhiloxRace, Race, Sampling, combine, combine_scales, keep, race, soft_weights

Recorder = Callable[[str, Tensor], None]
"""Gets (name, tensor) of every intermediate of every scale, in order."""


def ignore(name: str, tensor: Tensor) -> None:
    """Record nothing."""


@dataclass(frozen=True)
class Sample:
    """A finished generation."""

    tokens: Tensor
    """(B, L) int64, scale-major; -1 at scales that were left out."""
    f_hats: Tensor
    """(B, K, Cvae, p_K, p_K): the canvas after every scale."""
    images: Tensor
    """(B, 3, H, W) in [0, 1]."""


def choose(
    said: Pass, k: int, *, model: NextScaleModel, noise: Race, sampling: Sampling, record: Recorder = ignore
) -> tuple[Tensor, Tensor]:
    """Tokens (B, l) and codes (B, l, Cvae) of scale k from what was said of it."""
    draw = sampling.at(k)
    filtered = keep(said.logits, top_k=draw.top_k, top_p=draw.top_p)
    record("filtered", filtered)
    shape = (model.layout.token_start(k), *said.logits.shape[1:])
    tokens = race(filtered, noise.tokens(*shape))
    record("tokens", tokens)
    weights = None
    if draw.smoothing is not None:
        weights = soft_weights(filtered, noise.smoothing(*shape), ratio=draw.smoothing)
    codes = model.codes_of(tokens, said.hidden, k, weights=weights, t=draw.t, noise=noise)
    if weights is not None:
        record("h_soft", codes)
    record("codes", codes)
    return tokens, codes


class ScaleLoop:
    """One generation as a strategy sees it (`seam`): scales are run in order, and the last ones may be left out."""

    def __init__(
        self,
        model: NextScaleModel,
        condition: Sized,
        *,
        noise: Race,
        sampling: Sampling,
        record: Recorder = ignore,
        cache: type[KVCache] = KVCache,
    ) -> None:
        self.model, self.noise, self.sampling, self.record = model, noise, sampling, record
        self.condition, self.rows, self.device, self.codebook = condition, len(condition), model.device, model.codebook
        self.run = GuidedRun(model, condition, cache=cache)
        self.canvas = model.canvas(self.rows)
        self.tokens: list[Tensor] = []

    @property
    def seeds(self) -> Tensor:
        """(B,)"""
        return self._seeded.seeds

    @property
    def _seeded(self) -> PhiloxRace:
        if not isinstance(self.noise, PhiloxRace):
            raise TypeError(f"the noise of {type(self.noise).__name__} follows from no seeds")
        return self.noise

    def full(self, scale: int, *, sublayers: Sublayers | None = None) -> None:
        """Input, blocks, guidance, tokens and canvas of the next scale."""
        k, record = scale, self.record
        if k == 0:
            x = self.run.begin()
        else:
            maps = self.canvas.next_input()
            record("next_input", maps)
            x = self.run.embed(maps, first=k, last=k)
        record("block0_input", x)
        h = self.run.advance(x, first=k, last=k, sublayers=sublayers)
        record("last_block_output", h)
        h = self.model.layout.token_rows(h, first=k)
        raw = self.run.logits(h)
        record("logits_raw_2B", raw)
        logits = combine(raw, self.sampling.at(k).t)
        record("logits", logits)
        said = Pass(logits, h)
        tokens, codes = choose(said, k, model=self.model, noise=self.noise, sampling=self.sampling, record=record)
        self.canvas.add(codes)
        record("f_hat", self.canvas.f_hat)
        self.tokens.append(tokens)

    def guided(
        self, maps: Tensor | None, *, first: int, last: int, bias: Tensor | None = None, rows: Sequence[int] | None = None
    ) -> Pass:
        """What the model says of several scales in one pass; see the seam."""
        layout, run = self.model.layout, self.run
        with run.standing_at(first, last, rows):
            h = run.advance(run.inputs(maps, first=first, last=last), first=first, last=last, bias=bias)
        h = layout.token_rows(h, first=first)
        logits = combine_scales(run.logits(h), self.sampling.guidance(layout, first, last))
        return Pass(of_rows(logits, rows), of_rows(h, run.guided_rows(rows)), rows)

    def draw(self, said: Pass, scale: int) -> tuple[Tensor, Tensor]:
        """Tokens and codes of one scale from what was said of it."""
        return choose(said, scale, model=self.model, noise=self._noise(said.rows), sampling=self.sampling)

    def codes(self, said: Pass, tokens: Tensor, scale: int) -> Tensor:
        """Codes to paint other tokens with, (B, l, Cvae)."""
        noise, t = self._noise(said.rows), self.sampling.at(scale).t
        return self.model.codes_of(tokens, said.hidden, scale, weights=None, t=t, noise=noise)

    def _noise(self, rows: Sequence[int] | None) -> Race:
        return self.noise if rows is None else self._seeded.of(rows)

    def paint(self, scale: int, tokens: Tensor, codes: Tensor, *, rows: Sequence[int] | None = None) -> None:
        """Set a scale's tokens and the canvas behind it."""
        self.canvas.put(scale, codes, rows=rows)
        if rows is not None:
            held = self.tokens[scale] if scale < len(self.tokens) else tokens.new_zeros(self.rows, tokens.shape[1])
            tokens = held.index_copy(0, torch.tensor(rows, device=tokens.device), tokens)
        self.tokens[scale : scale + 1] = [tokens]

    def tokens_of(self, scale: int) -> Tensor:
        """(B, l)"""
        return self.tokens[scale]

    def adopt(self, other: ScaleSeam, scale: int) -> None:
        """Tokens and canvas of the scales before `scale`; see the seam."""
        self.tokens = [other.tokens_of(k) for k in range(scale)]
        self.canvas.adopt(other.canvas, scale)

    def blank(self, scale: int) -> None:
        """Nothing cached of the scales before; see the seam."""
        self.run.blank(scale)

    def truncate(self, scale: int) -> None:
        """Take back every scale from `scale` on: keys, values, tokens and canvas."""
        self.run.truncate(scale)
        self.canvas.truncate(scale)
        del self.tokens[scale:]

    def release(self) -> None:
        """Nothing outlives a generation here."""

    def finish(self) -> Sample:
        """The image of what was painted; a scale that was left out has tokens -1 and the canvas as it was before."""
        missing = self.model.layout.lengths(len(self.tokens))
        nothing = [torch.full_like(self.tokens[0], -1).expand(-1, length) for length in missing]
        f_hats = self.canvas.states[1:] + [self.canvas.f_hat] * len(missing)
        images = (self.model.decode(self.canvas.f_hat) + 1) / 2
        return Sample(torch.cat(self.tokens + nothing, 1), torch.stack(f_hats, 1), images)


@torch.no_grad()
def sample(model: NextScaleModel, condition: Sized, *, noise: Race, sampling: Sampling, record: Recorder = ignore) -> Sample:
    """Generate one image per condition."""
    loop = ScaleLoop(model, condition, noise=noise, sampling=sampling, record=record)
    run_scales(loop, scales=model.layout.scales, rule=None)
    return loop.finish()
