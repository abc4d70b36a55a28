"""VAR's scale loop: class rows and canvas in, tokens and image out.

B samples · rows [cond; uncond] 2B · k scale of K · t = cfg k / (K - 1), so the first scale is unguided
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from sdaccel.generators.nextscale.kv import KVCache
from sdaccel.generators.nextscale.scales import lengths
from sdaccel.generators.nextscale.seam import run_scales
from sdaccel.generators.nextscale.tokens import Race, combine, keep, race, soft_weights
from sdaccel.generators.var.model import HEAD_DIM, VAR, attend
from sdaccel.generators.var.vqvae import VQVAE

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

    def advance(self, x: Tensor, *, first: int, last: int) -> Tensor:
        """Block output of scales first .. last in one pass behind the cached ones; several make a block-causal prefill."""
        self.expect(first)
        seen = partial(attend, bias=self.model.bias(first, last))
        return self.model.run_blocks(x, self.mod, kv=self.kv, attend=seen)

    def expect(self, first: int) -> None:
        """Scale `first` is the next one, or its positions would be those of another."""
        if self.kv.length != self.model.offsets[first]:
            raise ValueError(f"scale {first} starts at token {self.model.offsets[first]}, the cache holds {self.kv.length}")

    def logits(self, h: Tensor) -> Tensor:
        """Unguided logits (2B, l, V) of block output."""
        return self.model.logits(h, self.mod)

    def truncate(self, scale: int) -> None:
        """Forget the keys and values of every scale from `scale` on."""
        self.kv.truncate(self.model.offsets[scale])


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
        self.run = run(model, labels)
        self.canvas = vae.canvas(model.geometry.patch_nums, rows=len(labels))
        self.tokens: list[Tensor] = []

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
