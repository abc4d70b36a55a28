"""Train VAR's multi-scale residual tokenizer on the world (VAR, arXiv 2404.02905, section 3.2)."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sdaccel import world
from sdaccel.generators.var import init
from sdaccel.generators.var.vqvae import VQVAE
from sdaccel.world.render import render
from sdaccel.zoo.training import Batch, indices

RESOLUTION = 64
SCALES = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16)
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

    def __init__(self) -> None:
        self.net = network()

    def batch(self, step: int, size: int) -> Batch:
        return {"index": indices(step, size), "step": torch.tensor(step)}

    def loss(self, net: VQVAE, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        half = len(batch["index"]) // 2
        images = torch.cat(
            [pictures("train", part, kind) for part, kind in zip(batch["index"].split(half), WORLDS, strict=True)]
        )
        f = net.encode(images)
        with torch.autocast(f.device.type, enabled=False):
            idx, canvas = net.tokenize(f.float().detach(), SCALES)
            f, partial = f.float(), torch.stack(canvas.states[1:])
            codebook = F.mse_loss(partial, f.detach().expand_as(partial))
            commitment = F.mse_loss(f.expand_as(partial), partial.detach())
        decoded = decode(net, f + (canvas.f_hat - f).detach())
        pixels = F.mse_loss(decoded.float(), images)
        absolute = F.l1_loss(decoded.float(), images)
        if int(batch["step"]) % REVIVE_EVERY == 0:
            revive(net, idx, f.detach(), generator)
        loss = pixels + 0.2 * absolute + codebook + COMMITMENT * commitment
        used = torch.tensor(len(idx.unique()) / len(net.quantize.embedding.weight))
        return loss, {"psnr": 10 * torch.log10(4 / pixels.detach()), "codebook": codebook.detach(), "used": used}

    def measure(self, net: Any, device: torch.device) -> dict[str, float]:
        """Test PSNR through the tokens, by world."""
        return {f"psnr/{kind}": reconstruction_psnr(net, kind=kind, count=2048, device=device) for kind in WORLDS}


def pictures(split: str, index: Tensor, kind: str) -> Tensor:
    """Scenes in [-1, 1], made where the indices are."""
    scenes = world.classes(split, index) if kind == "classes" else world.captioned(split, index)
    return render(scenes, resolution=RESOLUTION) * 2 - 1


def decode(net: VQVAE, f_hat: Tensor) -> Tensor:
    """The decoder without the final clamp, whose flat parts teach nothing."""
    return net.decoder(net.post_quant_conv(f_hat))


@torch.no_grad()
def revive(net: VQVAE, idx: Tensor, f: Tensor, generator: torch.Generator) -> None:
    """Put codes that this batch never chose where vectors of the batch lie."""
    weight = net.quantize.embedding.weight
    dead = (torch.bincount(idx.flatten(), minlength=len(weight)) == 0).nonzero().squeeze(1)
    vectors = f.flatten(2).transpose(1, 2).flatten(0, 1)
    chosen = torch.randint(len(vectors), (len(dead),), generator=generator, device=f.device)
    weight[dead] = vectors[chosen].to(weight.dtype) * 0.5  # residuals are smaller than what is encoded


@torch.no_grad()
def reconstruction_psnr(net: VQVAE, *, kind: str, count: int, device: torch.device) -> float:
    """Mean PSNR in dB over test images, through tokens and back."""
    values = []
    for index in torch.arange(count, device=device).split(256):
        images = pictures("test", index, kind)
        _, canvas = net.tokenize(net.encode(images), SCALES)
        error = (net.decode(canvas.f_hat) - images).square().flatten(1).mean(1)
        values.append(10 * torch.log10(4 / error))
    return float(torch.cat(values).mean())
