"""The loss of HART's residual head: squared error of the noise, and the variational bound for the variance alone.

Improved DDPM (Nichol and Dhariwal, arXiv 2102.09672); u block output plus the embedded code of a token, (N, C); r its residual
in the head's units, (N, Cvae)
"""

import numpy as np
import torch
from torch import Tensor

from sdaccel.generators.hart.diffusion import BASE_STEPS, Chain, cosine_betas
from sdaccel.generators.hart.model import HART
from sdaccel.zoo.training import Batch

CHAIN = Chain(range(BASE_STEPS), cosine_betas())


def noised(r: Tensor, generator: torch.Generator) -> Batch:
    """r at a step of the chain drawn for each token, with what the loss asks of that step."""
    t = torch.randint(BASE_STEPS, (len(r),), generator=generator, device=r.device)
    noise = torch.randn(r.shape, generator=generator, device=r.device)
    return {"r": r, "t": t, "noise": noise} | at_steps(t)


def at_steps(t: Tensor) -> Batch:
    """Of the chain at every token's step, (N, 1) float32: what is left of r, its log variances, what r adds to the mean."""
    bar, before = CHAIN.alphas_bar, CHAIN.before
    low = np.log(np.concatenate([CHAIN.posterior_variance[1:2], CHAIN.posterior_variance[1:]]))
    columns = {"bar": bar, "low": low, "high": np.log(CHAIN.betas), "of_x0": CHAIN.betas * np.sqrt(before) / (1 - bar)}
    table = {name: torch.from_numpy(values).float().to(t.device) for name, values in columns.items()}
    return {name: values[t].unsqueeze(1) for name, values in table.items()}


def denoising_loss(net: HART, u: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    bar, noise, r = batch["bar"], batch["noise"], batch["r"]
    x = bar.sqrt() * r + (1 - bar).sqrt() * noise
    z = net.decoder_norm(u, torch.float32)
    eps, fraction = net.diffloss.net(x, batch["t"], z).float().chunk(2, -1)
    squared = (eps - noise).square().mean()
    bound = variance_bound(fraction, (eps - noise).detach(), batch).mean()
    return squared + bound, {"noise": squared.detach(), "bound": bound.detach()}


def variance_bound(fraction: Tensor, error: Tensor, at: Batch) -> Tensor:
    """KL in nats (N, C) of the true posterior from the one with the learned variance; `error` of the noise moves its mean."""
    share = (fraction + 1) / 2
    log_variance = share * at["high"] + (1 - share) * at["low"]
    moved = at["of_x0"] * ((1 - at["bar"]) / at["bar"]).sqrt() * error
    return 0.5 * (log_variance - at["low"] + (at["low"] - log_variance).exp() + moved.square() * (-log_variance).exp() - 1)
