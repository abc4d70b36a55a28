"""Train flux_mini's autoencoder: sharp pictures from latents that a flow can follow."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sdaccel import world
from sdaccel.generators.flux.vae import FluxVae
from sdaccel.world.captions import captions
from sdaccel.world.render import render
from sdaccel.zoo.sheets import COLUMNS, Sheet
from sdaccel.zoo.training import Batch, indices

RESOLUTION = 128
ABSOLUTE = 0.2
"""Weight of the absolute error beside the squared one: sharper edges."""
RATE = 2e-4
"""Weight of the KL per latent: noise on the latents may cost about half of this in squared error."""
MEMORY = 0.02
"""Weight of the newest batch in the running shift and scale of the latents."""


def network(*, seed: int = 0) -> FluxVae:
    """Four-fold down to 32 x 32 latents of 4 channels: 256 packed tokens."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return FluxVae()


class VaeTask:
    """Reconstruction, a little KL, and a running mean and deviation of the latents."""

    def __init__(self, *, resolution: int = RESOLUTION) -> None:
        self.net = network()
        self.resolution = resolution

    def batch(self, step: int, size: int) -> Batch:
        return {"index": indices(step, size)}

    def loss(self, net: Any, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        images = pictures("train", batch["index"], self.resolution)
        mean, logvar = net.posterior(images)
        latents = mean + (0.5 * logvar).exp() * gaussian(mean, generator)
        seen = net.reconstruct(latents)
        pixels, absolute = F.mse_loss(seen, images), F.l1_loss(seen, images)
        rate = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
        follow(net, mean.detach())
        figures = {"psnr": 10 * torch.log10(4 / pixels.detach()), "kl": rate.detach()}
        return pixels + ABSOLUTE * absolute + RATE * rate, figures

    def measure(self, net: Any, device: torch.device) -> dict[str, float]:
        """Test PSNR, and how far normalised latents are from unit deviation."""
        return reconstruction(net, count=1024, resolution=self.resolution, device=device)

    def sheet(self, net: Any, device: torch.device) -> Sheet:
        scenes = world.captioned("test", torch.arange(COLUMNS, device=device))
        real = render(scenes, resolution=self.resolution)
        return Sheet(captions(scenes), {"real": real, "reconstructed": net.roundtrip(real * 2 - 1)})


@torch.compiler.disable
def pictures(split: str, index: Tensor, resolution: int) -> Tensor:
    """Scenes in [-1, 1], made where the indices are; a graph of its own in a compiled loss."""
    with torch.no_grad():
        return render(world.captioned(split, index), resolution=resolution) * 2 - 1


@torch.compiler.disable
def gaussian(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, device=like.device)


@torch.no_grad()
def follow(net: FluxVae, mean: Tensor) -> None:
    """Move shift and scale towards this batch's latents."""
    channels = mean.transpose(0, 1).flatten(1)
    net.shift.lerp_(channels.mean(1), MEMORY)
    net.scale.lerp_(channels.std(1).clamp(min=1e-3).reciprocal(), MEMORY)


@torch.no_grad()
def reconstruction(net: FluxVae, *, count: int, resolution: int, device: torch.device) -> dict[str, float]:
    """Mean PSNR in dB over test images, and the deviation of their tokens."""
    values, deviations = [], []
    for index in torch.arange(count, device=device).split(128):
        images = pictures("test", index, resolution)
        tokens = net.encode(images)
        error = 2 * net.decode(tokens, height=resolution, width=resolution) - 1 - images
        values.append(10 * torch.log10(4 / error.square().flatten(1).mean(1)))
        deviations.append(tokens.std())
    return {"psnr": float(torch.cat(values).mean()), "latent_std": float(torch.stack(deviations).mean())}
