"""Train VAR's multi-scale residual tokenizer on the world (VAR, arXiv 2404.02905, section 3.2)."""

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
LAYOUT = Layout(SCALES)
WORLDS = ("classes", "captioned")
COMMITMENT = 0.25
REVIVE_EVERY = 100
"""Steps between revivals of codes that nothing chose."""


def network() -> VQVAE:
    """Four-fold down at 64 px, so that the ten official scales end on a 16 x 16 map; 432 codes of 8 channels."""
    model = VQVAE(ch=32, vocab=432, Cvae=8, scales=len(SCALES), mult=(1, 1, 2))
    shapes = {name: p.shape for name, p in model.named_parameters()}
    model.load_state_dict(init.unit_scale(shapes, seed=0), strict=False)
    return model


class TokenizerTask:
    """Reconstruction plus the two quantisation terms, at every scale's partial sum."""

    def __init__(self, *, squared: float = 1.0, absolute: float = 0.2) -> None:
        self.net = network()
        self.squared, self.absolute = squared, absolute

    def batch(self, step: int, size: int) -> Batch:
        return {"index": indices(step, size), "step": torch.tensor(step)}

    def loss(self, net: VQVAE, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        half = len(batch["index"]) // 2
        images = torch.cat(
            [pictures("train", part, kind) for part, kind in zip(batch["index"].split(half), WORLDS, strict=True)]
        )
        f = net.encode(images)
        with torch.autocast(f.device.type, enabled=False):
            f = f.float()
            with torch.no_grad():
                idx, _ = net.tokenize(f, LAYOUT)
            partial = partial_sums(net, idx)
            codebook = F.mse_loss(partial, f.detach().expand_as(partial))
            commitment = F.mse_loss(f.expand_as(partial), partial.detach())
        decoded = decode(net, f + (partial[-1] - f).detach())
        pixels = F.mse_loss(decoded.float(), images)
        absolute = F.l1_loss(decoded.float(), images)
        revive(net, idx, f.detach(), batch["step"])
        loss = self.squared * pixels + self.absolute * absolute + codebook + COMMITMENT * commitment
        used = (uses(net, idx) > 0).float().mean()
        return loss, {"psnr": 10 * torch.log10(4 / pixels.detach()), "codebook": codebook.detach(), "used": used}

    def measure(self, net: Any, device: torch.device) -> dict[str, float]:
        """Test PSNR through the tokens, by world."""
        return {f"psnr/{kind}": reconstruction_psnr(net, kind=kind, count=2048, device=device) for kind in WORLDS}

    def sheet(self, net: Any, device: torch.device) -> Sheet:
        """Class scenes, captioned scenes."""
        index = torch.arange(COLUMNS // 2, device=device)
        real = torch.cat([pictures("test", index, kind) for kind in WORLDS])
        conditions = [kind for kind in WORLDS for _ in index]
        return Sheet(conditions, {"real": (real + 1) / 2, "reconstructed": (net.roundtrip(real, LAYOUT) + 1) / 2})


def pictures(split: str, index: Tensor, kind: str) -> Tensor:
    """Scenes in [-1, 1], made where the indices are."""
    scenes = world.classes(split, index) if kind == "classes" else world.captioned(split, index)
    return render(scenes, resolution=RESOLUTION) * 2 - 1


def enlargement(side: int, device: torch.device) -> Tensor:
    """(16, side): bicubic enlargement along one axis, as the canvas does it."""
    return F.interpolate(torch.eye(side)[None, None], size=(SCALES[-1], side), mode="bicubic")[0, 0].to(device)


def partial_sums(net: VQVAE, idx: Tensor) -> Tensor:
    """(K, B, Cvae, 16, 16): the canvas after every scale, with gradients.

    Enlarged by matrix products: the backward pass of bicubic interpolation takes longer than all the rest of the step.
    """
    parts = []
    for k, part in enumerate(idx.split(LAYOUT.lengths(), 1)):
        up = enlargement(SCALES[k], idx.device)
        wide = up @ as_map(net.quantize.embedding(part)) @ up.T
        parts.append(net.quantize.quant_resi(wide, index=LAYOUT.phi[k]))
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
def reconstruction_psnr(net: VQVAE, *, kind: str, count: int, device: torch.device) -> float:
    """Mean PSNR in dB over test images, through tokens and back."""
    values = []
    for index in torch.arange(count, device=device).split(256):
        images = pictures("test", index, kind)
        error = (net.roundtrip(images, LAYOUT) - images).square().flatten(1).mean(1)
        values.append(10 * torch.log10(4 / error))
    return float(torch.cat(values).mean())
