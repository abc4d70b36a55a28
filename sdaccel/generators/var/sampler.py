"""VAR with its tokenizer, as the next-scale loop drives them: class labels in, guidance that grows with the scale.

B samples · R = 2B rows [cond; uncond] · k scale of K · t = cfg k / (K - 1), so the first scale is unguided
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sdaccel.generators.nextscale.canvas import Canvas
from sdaccel.generators.nextscale.kv import KVCache
from sdaccel.generators.nextscale.seam import Sublayers
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE
from sdaccel.generators.nextscale.tokens import Draw, Race, Sampling
from sdaccel.generators.var.model import HEAD_DIM, VAR, Modulation, attend


def growing_guidance(*, scales: int, cfg: float, top_k: int, top_p: float, more_smooth: bool) -> Sampling:
    """VAR's sampling: guidance from 0 at the first scale to cfg at the last, the same filters everywhere."""
    ratios = [k / (scales - 1) for k in range(scales)]
    return Sampling([Draw(cfg * ratio, top_k, top_p, ratio if more_smooth else None) for ratio in ratios])


class Given(NamedTuple):
    """The part of the labels that every scale reads."""

    cond: Tensor
    """Class rows (R, C)."""
    mod: Modulation


class VarModel:
    """A `NextScaleModel`."""

    head_dim = HEAD_DIM

    def __init__(self, var: VAR, vae: VQVAE) -> None:
        self.var, self.vae, self.layout = var, vae, var.layout
        self.layers, self.heads = var.geometry.depth, var.geometry.heads
        self.device, self.dtype = var.pos_start.device, var.pos_start.dtype
        self.codebook: Tensor = vae.quantize.embedding.weight

    def class_rows(self, labels: Tensor) -> Tensor:
        """Class embeddings [cond; uncond] (2B, C); a negative label is the null class."""
        nothing = torch.full_like(labels, self.var.null_class)
        return self.var.class_emb(torch.cat([torch.where(labels < 0, nothing, labels), nothing]))

    def prepare(self, condition: Any) -> Any:
        """From labels (B,)."""
        cond = self.class_rows(condition)
        return Given(cond, self.var.modulate(cond))

    def begin(self, given: Any) -> Tensor:
        return self.var.embed_class(given.cond)

    def embed(self, given: Any, maps: Tensor, *, first: int, last: int) -> Tensor:
        return self.var.embed_maps(maps, first=first, last=last).repeat(2, 1, 1)

    def run_blocks(
        self, given: Any, x: Tensor, *, first: int, last: int, kv: KVCache, bias: Tensor | None, sublayers: Sublayers | None
    ) -> Tensor:
        seen = partial(attend, bias=self.var.bias(first, last) if bias is None else bias)
        return self.var.run_blocks(x, self.mods(given), kv=kv, attend=seen, sublayers=sublayers)

    def mods(self, given: Any) -> Iterable[Tensor]:
        """adaLN of every block."""
        return given.mod.blocks

    def logits(self, given: Any, h: Tensor) -> Tensor:
        return self.var.logits(h, given.mod.head)

    def codes_of(
        self, tokens: Tensor, hidden: Tensor | None, scale: int, *, weights: Tensor | None, t: float, noise: Race
    ) -> Tensor:
        """A lookup."""
        return self.codebook[tokens] if weights is None else weights @ self.codebook.to(weights.dtype)

    def canvas(self, rows: int) -> Canvas:
        return self.vae.canvas(self.layout, rows=rows)

    def decode(self, f_hat: Tensor) -> Tensor:
        return self.vae.decode(f_hat)


def upstream_labels(labels: int | Sequence[int] | None, *, rows: int, num_classes: int, generator: torch.Generator) -> Tensor:
    """Labels (B,) as upstream reads them: None: the generator's first draw; an integer: for all rows; < 0: the null class."""
    if labels is None:
        uniform = torch.full((num_classes,), 1 / num_classes)
        return torch.multinomial(uniform, rows, replacement=True, generator=generator)
    given = torch.full((rows,), labels) if isinstance(labels, int) else torch.tensor(labels)
    return torch.where(given < 0, num_classes, given)
