"""VAR's scale loop: class rows and canvas in, tokens and image out.

B samples · rows [cond; uncond] 2B · k scale of K · t = cfg k / (K - 1), so the first scale is unguided
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from sdaccel.generators.nextscale.kv import KVCache
from sdaccel.generators.nextscale.scales import lengths, levels
from sdaccel.generators.nextscale.seam import ScaleSeam, run_scales
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE
from sdaccel.generators.nextscale.tokens import PhiloxRace, Race, combine, combine_scales, keep, race, soft_weights
from sdaccel.generators.var.model import HEAD_DIM, VAR, attend

Recorder = Callable[[str, Tensor], None]
"""Gets (name, tensor) of every intermediate of every scale, in order."""


def ignore(name: str, tensor: Tensor) -> None:
    """Record nothing."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How logits become tokens; the defaults live in the generator's config."""

    cfg: float
    top_k: int
    top_p: float
    more_smooth: bool


@dataclass(frozen=True)
class Sample:
    """What the loop made."""

    tokens: Tensor
    """(B, L) int64, scale-major; -1 at scales that were left out."""
    f_hats: Tensor
    """(B, K, Cvae, p_K, p_K): the canvas after every scale."""
    images: Tensor
    """(B, 3, 16 p_K, 16 p_K) in [0, 1]."""


def class_rows(model: VAR, labels: Tensor) -> Tensor:
    """Class embeddings [cond; uncond] (2B, C); a negative label is the null class."""
    nothing = torch.full_like(labels, model.null_class)
    return model.class_emb(torch.cat([torch.where(labels < 0, nothing, labels), nothing]))


class GuidedRun:
    """One model's pass over one generation: its class rows, adaLN and KV cache. The canvas belongs to the loop."""

    def __init__(self, model: VAR, labels: Tensor) -> None:
        cond = class_rows(model, labels)
        self.model = model
        self.cond = cond  # (2B, C)
        self.mod = model.modulate(cond)
        self.kv = KVCache(
            layers=model.geometry.depth,
            rows=len(cond),
            heads=model.geometry.depth,
            capacity=model.offsets[-1],
            head_dim=HEAD_DIM,
            dtype=cond.dtype,
            device=cond.device,
        )

    def begin(self) -> Tensor:
        """Input of scale 0, (2B, 1, C)."""
        return self.model.embed_class(self.cond)

    def embed(self, maps: Tensor, *, first: int, last: int) -> Tensor:
        """Input of scales first .. last from the canvas's maps (B, l, Cvae), (2B, l, C): both halves see the same canvas."""
        return self.model.embed_maps(maps, first=first, last=last).repeat(2, 1, 1)

    def inputs(self, maps: Tensor | None, *, first: int, last: int) -> Tensor:
        """Input of scales first .. last, (2B, l, C); the maps are those of these scales but scale 0."""
        if maps is None:
            return self.begin()
        rest = self.embed(maps, first=max(first, 1), last=last)
        return torch.cat([self.begin(), rest], 1) if first == 0 else rest

    def advance(self, x: Tensor, *, first: int, last: int, bias: Tensor | None = None) -> Tensor:
        """Block output of scales first .. last in one pass behind the cached ones; several make a block-causal prefill.

        A bias (l, n) over the n tokens up to the last says otherwise who sees whom.
        """
        self.expect(first)
        seen = partial(attend, bias=self.model.bias(first, last) if bias is None else bias)
        return self.model.run_blocks(x, self.mod, kv=self.kv, attend=seen)

    def expect(self, first: int) -> None:
        """Scale `first` is the next one, or its positions would be those of another."""
        if self.kv.length != self.model.offsets[first]:
            raise ValueError(f"scale {first} starts at token {self.model.offsets[first]}, the cache holds {self.kv.length}")

    def logits(self, h: Tensor) -> Tensor:
        """Unguided logits (2B, l, V) of block output."""
        return self.model.logits(h, self.mod)

    def blank(self, scale: int) -> None:
        """Stand at a scale without the keys and values of those before it."""
        self.kv.blank(self.model.offsets[scale])

    def truncate(self, scale: int) -> None:
        """Forget the keys and values of every scale from `scale` on."""
        self.kv.truncate(self.model.offsets[scale])

    @contextmanager
    def standing_at(self, first: int, last: int, rows: Sequence[int] | None) -> Iterator[None]:
        """These rows, None: all, hold the scales before `first`; inside, their keys and values up to `last` are written."""
        batch = len(self.cond) // 2
        guided = None if rows is None else [half + row for half in (0, batch) for row in rows]
        self.kv.seek(self.model.offsets[first])
        with self.kv.only(guided, start=self.model.offsets[first], end=self.model.offsets[last + 1]):
            yield


def of_rows(values: Tensor, rows: Sequence[int] | None) -> Tensor:
    """These rows, None: all."""
    return values if rows is None else values.index_select(0, torch.tensor(rows, device=values.device))


def guidance(cfg: float, *, patch_nums: Sequence[int], first: int, last: int) -> Tensor:
    """t of every token of scales first .. last, float64 (l,)."""
    level = levels(patch_nums)
    level = level[(first <= level) & (level <= last)]
    return cfg * (level.double() / (len(patch_nums) - 1))


def choose(
    logits: Tensor,
    codebook: Tensor,
    *,
    k: int,
    scales: int,
    start: int,
    noise: Race,
    sampling: Sampling,
    record: Recorder = ignore,
) -> tuple[Tensor, Tensor]:
    """Tokens (B, l) and codes (B, l, Cvae) of scale k from its guided logits."""
    filtered = keep(logits, top_k=sampling.top_k, top_p=sampling.top_p)
    record("filtered", filtered)
    shape = (start, *logits.shape[1:])
    tokens = race(filtered, noise.tokens(*shape))
    record("tokens", tokens)
    if not sampling.more_smooth:
        return tokens, codebook[tokens]
    weights = soft_weights(filtered, noise.smoothing(*shape), ratio=k / (scales - 1))
    codes = weights @ codebook.to(weights.dtype)
    record("h_soft", codes)
    return tokens, codes


class ScaleLoop:
    """One generation as a strategy sees it (`nextscale.seam`): scales are run in order, and the last ones may be left out."""

    def __init__(
        self,
        model: VAR,
        vae: VQVAE,
        labels: Tensor,
        *,
        noise: Race,
        sampling: Sampling,
        record: Recorder = ignore,
        run: type[GuidedRun] = GuidedRun,
    ) -> None:
        self.model, self.vae, self.noise, self.sampling, self.record = model, vae, noise, sampling, record
        self.labels = labels
        self.run = run(model, labels)
        self.canvas = vae.canvas(model.geometry.patch_nums, rows=len(labels))
        self.tokens: list[Tensor] = []

    @property
    def seeds(self) -> Tensor:
        """(B,)"""
        if not isinstance(self.noise, PhiloxRace):
            raise TypeError(f"the noise of {type(self.noise).__name__} follows from no seeds")
        return self.noise.seeds

    def full(self, scale: int) -> None:
        """Input, blocks, guidance, tokens and canvas of the next scale."""
        k, scales, record = scale, len(self.model.geometry.patch_nums), self.record
        if k == 0:
            x = self.run.begin()
        else:
            maps = self.canvas.next_input()
            record("next_input", maps)
            x = self.run.embed(maps, first=k, last=k)
        record("block0_input", x)
        h = self.run.advance(x, first=k, last=k)
        record("last_block_output", h)
        raw = self.run.logits(h)
        record("logits_raw_2B", raw)
        logits = combine(raw, self.sampling.cfg * (k / (scales - 1)))
        record("logits", logits)
        tokens, codes = choose(
            logits,
            self.vae.quantize.embedding.weight,
            k=k,
            scales=scales,
            start=self.model.offsets[k],
            noise=self.noise,
            sampling=self.sampling,
            record=record,
        )
        self.canvas.add(codes)
        record("f_hat", self.canvas.f_hat)
        self.tokens.append(tokens)

    def guided(
        self, maps: Tensor | None, *, first: int, last: int, bias: Tensor | None = None, rows: Sequence[int] | None = None
    ) -> Tensor:
        """Guided logits (B, l, V) of several scales in one pass; see the seam."""
        with self.run.standing_at(first, last, rows):
            h = self.run.advance(self.run.inputs(maps, first=first, last=last), first=first, last=last, bias=bias)
        t = guidance(self.sampling.cfg, patch_nums=self.canvas.patch_nums, first=first, last=last)
        return of_rows(combine_scales(self.run.logits(h), t), rows)

    def draw(self, logits: Tensor, scale: int, *, rows: Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
        """Tokens and codes of one scale from its guided logits."""
        return choose(
            logits,
            self.vae.quantize.embedding.weight,
            k=scale,
            scales=len(self.canvas.patch_nums),
            start=self.model.offsets[scale],
            noise=self.noise if rows is None else PhiloxRace(of_rows(self.seeds, rows)),
            sampling=self.sampling,
        )

    def codes(self, tokens: Tensor) -> Tensor:
        """Codebook entries (B, l, Cvae)."""
        return self.vae.quantize.embedding.weight[tokens]

    def paint(self, scale: int, tokens: Tensor, codes: Tensor, *, rows: Sequence[int] | None = None) -> None:
        """Set a scale's tokens and the canvas behind it."""
        self.canvas.put(scale, codes, rows=rows)
        if rows is not None:
            held = self.tokens[scale] if scale < len(self.tokens) else tokens.new_zeros(len(self.labels), tokens.shape[1])
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
        missing = lengths(self.model.geometry.patch_nums)[len(self.tokens) :]
        nothing = [torch.full_like(self.tokens[0], -1).expand(-1, length) for length in missing]
        f_hats = self.canvas.states[1:] + [self.canvas.f_hat] * len(missing)
        images = (self.vae.decode(self.canvas.f_hat) + 1) / 2
        return Sample(torch.cat(self.tokens + nothing, 1), torch.stack(f_hats, 1), images)


@torch.no_grad()
def sample(model: VAR, vae: VQVAE, labels: Tensor, *, noise: Race, sampling: Sampling, record: Recorder = ignore) -> Sample:
    """Generate one image per label (B,); a negative label is the null class."""
    loop = ScaleLoop(model, vae, labels, noise=noise, sampling=sampling, record=record)
    run_scales(loop, scales=len(model.geometry.patch_nums), rule=None)
    return loop.finish()


def upstream_labels(labels: int | Sequence[int] | None, *, rows: int, num_classes: int, generator: torch.Generator) -> Tensor:
    """Labels (B,) as upstream reads them: None: the generator's first draw; an integer: for all rows; < 0: the null class."""
    if labels is None:
        uniform = torch.full((num_classes,), 1 / num_classes)
        return torch.multinomial(uniform, rows, replacement=True, generator=generator)
    given = torch.full((rows,), labels) if isinstance(labels, int) else torch.tensor(labels)
    return torch.where(given < 0, num_classes, given)
