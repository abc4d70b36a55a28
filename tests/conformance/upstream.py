"""What upstream does and this project has no use for: a race on one generator's noise, canvases from tokens alone."""

import torch
from torch import Tensor

from sdaccel.generators.nextscale.canvas import Canvas
from sdaccel.generators.nextscale.layout import Layout
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE, inputs


class TorchGeneratorRace:
    """One generator consumed in upstream's order: noise depends on the batch size and every earlier draw."""

    def __init__(self, generator: torch.Generator, *, rows: int) -> None:
        self.generator = generator
        self.rows = rows

    def tokens(self, start: int, length: int, vocab: int) -> Tensor:
        noise = torch.empty(self.rows, length, vocab, device=self.generator.device)
        return noise.exponential_(generator=self.generator)

    def smoothing(self, start: int, length: int, vocab: int) -> Tensor:
        return self.tokens(start, length, vocab)


def painted(vae: VQVAE, idx: Tensor, layout: Layout) -> tuple[Canvas, Tensor]:
    """The canvas of idx (B, L), and the transformer's inputs for scales 1 .. K-1, (B, L - 1, Cvae)."""
    canvas = vae.canvas(layout, rows=len(idx))
    for part in idx.split(layout.lengths(), 1):
        canvas.add(vae.quantize.embedding(part))
    return canvas, inputs(canvas)
