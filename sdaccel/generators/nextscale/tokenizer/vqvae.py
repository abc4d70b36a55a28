"""The multi-scale VQVAE: images to token scales and back (VAR, arXiv 2404.02905, algorithms 1 and 2).

f, f_hat (B, Cvae, p_K, p_K) · idx (B, L) codes of all scales, scale-major · images (B, 3, 16 p_K, 16 p_K) in [-1, 1]
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sdaccel.errors import BadInput, at_least
from sdaccel.generators.nextscale.canvas import Canvas, PhiBank, as_tokens, shrink, wide
from sdaccel.generators.nextscale.layout import Layout
from sdaccel.generators.nextscale.tokenizer.autoencoder import MULT, Decoder, Encoder


def check_sizes(config: Any) -> None:
    """Raise BadInput for options of a generator that make no tokenizer."""
    at_least(1, config, "vocab", "Cvae", "ch", where="generator")
    if config.ch % 32:
        raise BadInput(f"generator.ch={config.ch} must be a multiple of 32, the number of norm groups.")
    if not config.ch_mult or min(config.ch_mult) < 1:
        raise BadInput(f"generator.ch_mult={config.ch_mult} must list at least one positive multiple.")


class Quantizer(nn.Module):
    """Codebook and phi. The usage counters of training are kept for the file format only."""

    def __init__(self, *, vocab: int, Cvae: int, scales: int) -> None:
        super().__init__()
        self.register_buffer("ema_vocab_hit_SV", torch.zeros(scales, vocab))
        self.quant_resi = PhiBank(Cvae)
        self.embedding = nn.Embedding(vocab, Cvae)

    def nearest(self, vectors: Tensor) -> Tensor:
        """Code of the smallest squared distance, (B, l, Cvae) -> (B, l)."""
        vectors, codes = wide(vectors), wide(self.embedding.weight)
        distance = vectors.square().sum(-1, keepdim=True) + codes.square().sum(-1) - 2 * vectors @ codes.T
        return distance.argmin(-1)


class VQVAE(nn.Module):
    """Autoencoder, quantiser and canvas in one; every method takes the layout, so one file serves 256 and 512 px."""

    def __init__(
        self, *, ch: int = 160, vocab: int = 4096, Cvae: int = 32, scales: int = 10, mult: Sequence[int] = MULT
    ) -> None:
        super().__init__()
        self.Cvae = Cvae
        self.encoder = Encoder(ch=ch, Cvae=Cvae, mult=mult)
        self.decoder = Decoder(ch=ch, Cvae=Cvae, mult=mult)
        self.quantize = Quantizer(vocab=vocab, Cvae=Cvae, scales=scales)
        self.quant_conv = nn.Conv2d(Cvae, Cvae, 3, padding=1)
        self.post_quant_conv = nn.Conv2d(Cvae, Cvae, 3, padding=1)

    def constants(self) -> dict[str, Tensor]:
        """The values of all buffers."""
        return {"quantize.ema_vocab_hit_SV": torch.zeros(self.quantize.get_buffer("ema_vocab_hit_SV").shape)}

    def canvas(self, layout: Layout, *, rows: int) -> Canvas:
        """An empty canvas."""
        empty = self.quantize.embedding.weight.new_zeros(rows, self.Cvae, layout.side, layout.side)
        return Canvas(phi=self.quantize.quant_resi, layout=layout, empty=empty)

    def encode(self, images: Tensor) -> Tensor:
        """f of images in [-1, 1]."""
        return wide(self.quant_conv(self.encoder(images.to(self.quant_conv.weight.dtype))))

    def tokenize(self, f: Tensor, layout: Layout) -> tuple[Tensor, Canvas]:
        """idx and the canvas they paint: each scale takes the nearest codes of what is still missing."""
        canvas, found, rest = self.canvas(layout, rows=len(f)), [], f
        for side in layout.patch_nums:
            idx = self.quantize.nearest(as_tokens(shrink(rest, side)))
            contribution = canvas.contribution(self.quantize.embedding(idx))
            rest = rest - contribution
            canvas.commit(contribution)
            found.append(idx)
        return torch.cat(found, 1), canvas

    def roundtrip(self, images: Tensor, layout: Layout) -> Tensor:
        """Images in [-1, 1] through their tokens and back."""
        return self.decode(self.tokenize(self.encode(images), layout)[1].f_hat)

    def decode(self, f_hat: Tensor, *, decoder: nn.Module | None = None) -> Tensor:
        """Images in [-1, 1], at least float32; another `decoder` computes the same."""
        features = self.post_quant_conv(f_hat.to(self.post_quant_conv.weight.dtype))
        return wide((decoder or self.decoder)(features)).clamp(-1, 1)


def inputs(canvas: Canvas) -> Tensor:
    """What the transformer saw before every scale but the first, of a painted canvas, (B, L - 1, Cvae)."""
    before = zip(canvas.states[1:-1], canvas.layout.patch_nums[1:], strict=True)
    return torch.cat([as_tokens(shrink(f_hat, side)) for f_hat, side in before], 1)
