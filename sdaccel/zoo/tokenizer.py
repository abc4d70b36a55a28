"""Train VAR's multi-scale residual tokenizer on the world (VAR, arXiv 2404.02905, section 3.2)."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sdaccel import world
from sdaccel.generators.nextscale import init
from sdaccel.generators.nextscale.canvas import as_map
from sdaccel.generators.nextscale.layout import Layout
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE
from sdaccel.noise import Stream, words
from sdaccel.world.render import render
from sdaccel.zoo.sheets import COLUMNS, Sheet
from sdaccel.zoo.training import Batch, indices

RESOLUTION = 64
SCALES = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16)
WORLDS = ("classes", "captioned")
COMMITMENT = 0.25
REVIVE_EVERY = 100
"""Steps between revivals of codes that nothing chose."""


def network(*, vocab: int = 432, scales: int = len(SCALES)) -> VQVAE:
    """Four-fold down, codes of 8 channels: at 64 px the ten official scales of VAR end on a 16 x 16 map."""
    model = VQVAE(ch=32, vocab=vocab, Cvae=8, scales=scales, mult=(1, 1, 2))
    shapes = {name: p.shape for name, p in model.named_parameters()}
    model.load_state_dict(init.unit_scale(shapes, seed=0), strict=False)
    return model


class TokenizerTask:
    """Reconstruction plus the two quantisation terms, at every scale's partial sum."""

    def __init__(
        self,
        *,
        squared: float = 1.0,
        absolute: float = 0.2,
        layout: Layout | None = None,
        vocab: int = 432,
        worlds: Sequence[str] = WORLDS,
    ) -> None:
        self.layout = layout or Layout(SCALES)
        self.net = network(vocab=vocab, scales=self.layout.scales)
        self.resolution = self.layout.side * 2 ** (len(self.net.encoder.down) - 1)
        self.squared, self.absolute, self.worlds = squared, absolute, tuple(worlds)

    def batch(self, step: int, size: int) -> Batch:
        return {"index": indices(step, size), "step": torch.tensor(step)}

    def loss(self, net: VQVAE, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        images = self.images(batch["index"])
        f = net.encode(images)
        with torch.autocast(f.device.type, enabled=False):
            f = f.float()
            with torch.no_grad():
                idx, _ = net.tokenize(f, self.layout)
            sums = partial_sums(net, idx, self.layout)
            codebook = F.mse_loss(sums, f.detach().expand_as(sums))
            commitment = F.mse_loss(f.expand_as(sums), sums.detach())
        decoded = decode(net, self.shown(f, sums[-1]))
        pixels = F.mse_loss(decoded.float(), images)
        absolute = F.l1_loss(decoded.float(), images)
        revive(net, idx, f.detach(), batch["step"])
        loss = self.squared * pixels + self.absolute * absolute + codebook + COMMITMENT * commitment
        used = (uses(net, idx) > 0).float().mean()
        return loss, {"psnr": 10 * torch.log10(4 / pixels.detach()), "codebook": codebook.detach(), "used": used}

    def images(self, index: Tensor) -> Tensor:
        """An equal share of every world, in [-1, 1]."""
        parts = index.split(len(index) // len(self.worlds))
        return torch.cat(
            [pictures("train", part, kind, self.resolution) for part, kind in zip(parts, self.worlds, strict=True)]
        )

    def shown(self, f: Tensor, f_hat: Tensor) -> Tensor:
        """What the decoder sees of f: the codes' sum, with the gradient going past them."""
        return f + (f_hat - f).detach()

    def measure(self, net: Any, device: torch.device) -> dict[str, float]:
        """Test PSNR through the tokens, by world."""
        psnr = partial(reconstruction_psnr, device=device, resolution=self.resolution)
        return {f"psnr/{kind}": psnr(partial(net.roundtrip, layout=self.layout), kind=kind, count=2048) for kind in self.worlds}

    def sheet(self, net: Any, device: torch.device) -> Sheet:
        """The same number of scenes of every world."""
        index = torch.arange(COLUMNS // len(self.worlds), device=device)
        real = torch.cat([pictures("test", index, kind, self.resolution) for kind in self.worlds])
        conditions = [kind for kind in self.worlds for _ in index]
        return Sheet(conditions, {"real": (real + 1) / 2} | {k: (v + 1) / 2 for k, v in self.rebuilt(net, real).items()})

    def rebuilt(self, net: Any, real: Tensor) -> dict[str, Tensor]:
        """Rows of the sheet, in [-1, 1]."""
        return {"reconstructed": net.roundtrip(real, self.layout)}


def pictures(split: str, index: Tensor, kind: str, resolution: int = RESOLUTION) -> Tensor:
    """Scenes in [-1, 1], made where the indices are."""
    scenes = world.classes(split, index) if kind == "classes" else world.captioned(split, index)
    return render(scenes, resolution=resolution) * 2 - 1


def enlargement(side: int, full: int, device: torch.device) -> Tensor:
    """(full, side): bicubic enlargement along one axis, as the canvas does it."""
    if side == full:
        return torch.eye(side, device=device)
    return F.interpolate(torch.eye(side)[None, None], size=(full, side), mode="bicubic")[0, 0].to(device)


def partial_sums(net: VQVAE, idx: Tensor, layout: Layout) -> Tensor:
    """(K, B, Cvae, p_K, p_K): the canvas after every scale, with gradients.

    Enlarged by matrix products: the backward pass of bicubic interpolation takes longer than all the rest of the step.
    """
    parts = []
    for k, part in enumerate(idx.split(layout.lengths(), 1)):
        up = enlargement(layout.patch_nums[k], layout.side, idx.device)
        wide = up @ as_map(net.quantize.embedding(part)) @ up.T
        parts.append(net.quantize.quant_resi(wide, index=layout.phi[k]))
    return torch.stack(parts).cumsum(0)


def uses(net: VQVAE, idx: Tensor) -> Tensor:
    """(V,) how often every code was chosen."""
    counts = torch.zeros(len(net.quantize.embedding.weight), device=idx.device)
    return counts.index_add(0, idx.flatten(), torch.ones(idx.numel(), device=idx.device))


def decode(net: VQVAE, f_hat: Tensor) -> Tensor:
    """The decoder without the final clamp, whose flat parts teach nothing."""
    return net.decoder(net.post_quant_conv(f_hat))


@torch.no_grad()
def revive(net: VQVAE, idx: Tensor, f: Tensor, step: Tensor) -> None:
    """Every hundredth step, put codes that this batch never chose where vectors of the batch lie."""
    weight, vectors = net.quantize.embedding.weight, f.flatten(2).transpose(1, 2).flatten(0, 1)
    chosen = words(step.view(1), Stream.CONDITION, start=0, count=len(weight))[0] % len(vectors)
    stays = (uses(net, idx) > 0) | (step % REVIVE_EVERY != 0)
    weight.copy_(
        torch.where(stays.unsqueeze(1), weight, 0.5 * vectors[chosen].to(weight.dtype))
    )  # residuals are smaller than f


@torch.no_grad()
def reconstruction_psnr(
    roundtrip: Callable[[Tensor], Tensor], *, kind: str, count: int, device: torch.device, resolution: int = RESOLUTION
) -> float:
    """Mean PSNR in dB over test images in [-1, 1], through an autoencoder and back."""
    values = []
    for index in torch.arange(count, device=device).split(256 * RESOLUTION // resolution):
        images = pictures("test", index, kind, resolution)
        error = (roundtrip(images) - images).square().flatten(1).mean(1)
        values.append(10 * torch.log10(4 / error))
    return float(torch.cat(values).mean())
