"""Train HART's tokenizer (arXiv 2410.10812, section 3.1): one decoder for what codes say and for what a residual adds.

r = f - f_hat, what codes leave out at the last scale
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sdaccel.generators.hart.model import PATCH_NUMS, hybrid_layout
from sdaccel.generators.hart.sampler import RESIDUAL_SCALE
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE, Quantizer
from sdaccel.zoo.tokenizer import TokenizerTask, network, pictures, reconstruction_psnr
from sdaccel.zoo.training import Batch

TRAINED, VOCAB = 32, 28
"""Codes in training and afterwards: few, so that a residual is left to say. All 32 left it 1.4 dB; with the four closest
pairs merged, which say what is fine, it has 2.8 (and with many fewer, colours went wrong)."""
WITHIN = 0.995
"""Share of the residual's numbers that the head can say: its range ends at RESIDUAL_SCALE."""


def hybrid_network(*, scales: int = len(PATCH_NUMS)) -> VQVAE:
    """Four-fold down at 256 px, so that the 14 official scales end on a 64 x 64 map; codes of 8 channels."""
    return network(vocab=VOCAB, scales=scales)


class HybridTokenizerTask(TokenizerTask):
    """Half of each batch is decoded from its codes, the other half from f itself."""

    def __init__(self, *, patch_nums: Sequence[int] = PATCH_NUMS, squared: float = 1.0, absolute: float = 0.2) -> None:
        layout = hybrid_layout(tuple(patch_nums))
        super().__init__(squared=squared, absolute=absolute, layout=layout, vocab=TRAINED, worlds=("captioned",))
        self.compiled = False

    def prepare(self, batch: Batch, generator: torch.Generator) -> Batch:
        """On a GPU encoder and decoder become graphs; all 14 scales in one take minutes to compile and gain nothing."""
        if batch["index"].is_cuda and not self.compiled:
            self.compiled = True
            for part in (self.net.encoder, self.net.decoder):
                part.compile(dynamic=False)
        return batch

    def shown(self, f: Tensor, f_hat: Tensor) -> Tensor:
        half = len(f) // 2
        return torch.cat([f[:half] + (f_hat - f)[:half].detach(), f[half:]])

    def shipped(self) -> VQVAE:
        """The architecture after `finish`."""
        return hybrid_network(scales=self.layout.scales)

    def finish(self, net: VQVAE, device: torch.device) -> None:
        """Fewer codes, and latents in units in which the residual fits the head."""
        quantize = Quantizer(vocab=VOCAB, Cvae=net.Cvae, scales=self.layout.scales).to(device)
        quantize.quant_resi = net.quantize.quant_resi
        quantize.embedding.weight.data = merged(net.quantize.embedding.weight.data, VOCAB)
        net.quantize = quantize
        rescale(net, RESIDUAL_SCALE / self.reach(net, device))

    @torch.no_grad()
    def reach(self, net: VQVAE, device: torch.device, *, count: int = 64) -> float:
        """WITHIN of the residual's numbers are smaller."""
        images = pictures("train", torch.arange(count, device=device), "captioned", self.resolution)
        r = torch.cat([self.residual(net, some) for some in images.split(16)]).abs().flatten()
        return float(r.sort().values[int(WITHIN * (len(r) - 1))])

    def residual(self, net: VQVAE, images: Tensor) -> Tensor:
        f = net.encode(images)
        return f - net.tokenize(f, self.layout)[1].f_hat

    def measure(self, net: Any, device: torch.device) -> dict[str, float]:
        """Test PSNR through codes alone and with the residual, and how large that is."""
        psnr = partial(reconstruction_psnr, kind="captioned", count=512, device=device, resolution=self.resolution)
        images = pictures("test", torch.arange(32, device=device), "captioned", self.resolution)
        with torch.no_grad():
            r = self.residual(net, images)
        return {
            "psnr/discrete": psnr(partial(net.roundtrip, layout=self.layout)),
            "psnr/hybrid": psnr(partial(continuous, net)),
            "residual/std": float(r.std()),
            "residual/within": float((r.abs() < RESIDUAL_SCALE).float().mean()),
        }

    def rebuilt(self, net: Any, real: Tensor) -> dict[str, Tensor]:
        return {"codes": net.roundtrip(real, self.layout), "codes and residual": continuous(net, real)}


def continuous(net: VQVAE, images: Tensor) -> Tensor:
    """Images in [-1, 1] through f, which is codes and the whole residual, and back."""
    return net.decode(net.encode(images))


def merged(codes: Tensor, count: int) -> Tensor:
    """`count` codes: of all pairs the one whose merger costs the least squared error becomes its mean, again and again (Ward,
    Hierarchical grouping to optimize an objective function, 1963)."""
    stands_for = codes.new_ones(len(codes))
    while len(codes) > count:
        cost = torch.cdist(codes, codes).square() / (1 / stands_for + 1 / stands_for.unsqueeze(1))
        i, j = divmod(int(cost.fill_diagonal_(torch.inf).argmin()), len(codes))
        both = stands_for[i] + stands_for[j]
        mean = (stands_for[i] * codes[i] + stands_for[j] * codes[j]) / both
        others = [k for k in range(len(codes)) if k not in (i, j)]
        codes, stands_for = torch.cat([codes[others], mean[None]]), torch.cat([stands_for[others], both[None]])
    return codes


@torch.no_grad()
def rescale(net: VQVAE, factor: float) -> None:
    """The same autoencoder and the same tokens, with f and codes `factor` times as large: phi is linear but for its bias."""
    for parameter in (net.quant_conv.weight, net.quant_conv.bias, net.quantize.embedding.weight):
        assert parameter is not None
        parameter.mul_(factor)
    for phi in net.quantize.quant_resi.qresi_ls:
        phi.get_parameter("bias").mul_(factor)
    net.post_quant_conv.weight.div_(factor)
