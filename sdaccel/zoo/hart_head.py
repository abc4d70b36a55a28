"""Train hart_mini's residual head behind its finished transformer: what codes leave out, token by token, by denoising.

u block output plus the embedded code of a token, (N, C); r its residual in the head's units, (N, Cvae)
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sdaccel import world
from sdaccel.generators.hart.diffusion import BASE_STEPS, Chain, cosine_betas
from sdaccel.generators.hart.model import HART
from sdaccel.generators.hart.sampler import RESIDUAL_SCALE
from sdaccel.generators.nextscale.canvas import as_tokens
from sdaccel.generators.nextscale.tokenizer.vqvae import inputs
from sdaccel.world.render import render
from sdaccel.zoo.flow import UNTOLD
from sdaccel.zoo.hart import HartTask, Phase, chosen_tokens, hidden_states, lesson, tokens_of, told
from sdaccel.zoo.training import Batch

SCENES = 16
"""At a time through the transformer."""
PARTS = ("decoder_norm", "diffloss")
"""What is trained."""


class HeadTask(HartTask):
    """Squared error of the noise, and the variational bound for the variance alone (arXiv 2102.09672).

    Tokens of `pool` scenes are prepared at a time and each is learnt from `reuse` times on average.
    """

    shown_steps: Sequence[int] = (0, 8)

    def __init__(self, *, whole: str | HART = "hart_mini", **options: Any) -> None:
        super().__init__(whole=whole, **options)
        for name, parameter in self.net.named_parameters():
            parameter.requires_grad_(name.startswith(PARTS))
        self.made: tuple[int, Tensor, Tensor] | None = None
        self.hidden = hidden_states
        self.chain = Chain(range(BASE_STEPS), cosine_betas())

    def batch(self, step: int, size: int) -> Batch:
        available = self.pool_size * self.layout.tokens(self.layout.scales - 1)
        rows = torch.randint(available, (size,), generator=torch.Generator().manual_seed(step))
        return {"pool": torch.tensor(step * size // (self.reuse * available)), "rows": rows}

    @torch.no_grad()
    def prepare(self, batch: Batch, generator: torch.Generator) -> Batch:
        rows, device, number = batch["rows"], batch["rows"].device, int(batch["pool"])
        if self.made is None or self.made[0] != number:
            self.made = (number, *self.tokens_told(number, device))
        r = self.made[2][rows]
        t = torch.randint(BASE_STEPS, (len(rows),), generator=generator, device=device)
        noise = torch.randn(r.shape, generator=generator, device=device)
        return {"u": self.made[1][rows].float(), "r": r, "t": t, "noise": noise} | self.figures(t)

    def figures(self, t: Tensor) -> Batch:
        """Of the chain at every token's step, (N, 1) float32: what is left of r, its log variances, what r adds to the mean."""
        chain = self.chain
        bar, before = chain.alphas_bar, chain.before
        low = np.log(np.concatenate([chain.posterior_variance[1:2], chain.posterior_variance[1:]]))
        columns = {"bar": bar, "low": low, "high": np.log(chain.betas), "of_x0": chain.betas * np.sqrt(before) / (1 - bar)}
        table = {name: torch.from_numpy(values).float().to(t.device) for name, values in columns.items()}
        return {name: values[t].unsqueeze(1) for name, values in table.items()}

    def loss(self, net: Any, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        bar, noise, r = batch["bar"], batch["noise"], batch["r"]
        x = bar.sqrt() * r + (1 - bar).sqrt() * noise
        z = net.decoder_norm(batch["u"], torch.float32)
        eps, fraction = net.diffloss.net(x, batch["t"], z).float().chunk(2, -1)
        squared = (eps - noise).square().mean()
        bound = variance_bound(fraction, (eps - noise).detach(), batch).mean()
        return squared + bound, {"noise": squared.detach(), "bound": bound.detach()}

    @torch.no_grad()
    def tokens_told(self, number: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """(u, r) of a pool's tokens at the last scale."""
        self.move(device)
        if device.type == "cuda" and self.hidden is hidden_states:
            self.hidden = torch.compile(hidden_states, dynamic=False)
        index = torch.arange(number * self.pool_size, (number + 1) * self.pool_size, device=device)
        made = [self.of_scenes(part) for part in index.split(SCENES)]
        u, r = (torch.cat(parts) for parts in zip(*made, strict=True))
        return u, r

    def of_scenes(self, index: Tensor) -> tuple[Tensor, Tensor]:
        scenes, layout = world.captioned("train", index), self.layout
        with torch.autocast(index.device.type, enabled=False):
            f = self.tokenizer.encode(render(scenes, resolution=self.resolution) * 2 - 1)
            tokens, canvas = self.tokenizer.tokenize(f, layout)
        generator = torch.Generator(index.device).manual_seed(int(index[0]))
        context = told(self.text, scenes)
        read = (torch.rand(len(index), generator=generator, device=index.device) >= UNTOLD).view(-1, 1, 1)
        batch = lesson(
            tokens,
            inputs(canvas),
            chosen_tokens(layout, Phase(1, 1, layout.scales), generator),
            text=context.hidden * read,
            positions=context.positions * read.squeeze(2),
            layout=layout,
            head_dim=self.geometry.head_dim,
        )
        length = layout.tokens(layout.scales - 1)
        hidden = self.hidden(self.net, batch)[0][:, -length:]
        codes = self.tokenizer.quantize.embedding(tokens_of(batch)[-1])
        u = hidden.float() + self.net.word_embed(codes).float()
        r = as_tokens(f - canvas.f_hat) / RESIDUAL_SCALE
        return u.flatten(0, 1).bfloat16(), r.flatten(0, 1).clamp(-1, 1)

    def move(self, device: torch.device) -> None:
        """In float32: what is learnt here is smaller than what half precision loses."""
        self.text.to(device)
        self.tokenizer.to(device)
        self.net.to(device)

    def measure(self, net: Any, device: torch.device, *, count: int = 256) -> dict[str, float]:
        """What judge and CLIP read, and the distance to the real residual's law in deviation."""
        self.move(device)
        return self.painted(net, device, count=count, residual=False) | self.painted(net, device, count=count, residual=True)


def variance_bound(fraction: Tensor, error: Tensor, at: Batch) -> Tensor:
    """KL in nats (N, C) of the true posterior from the one with the learned variance; `error` of the noise moves its mean."""
    share = (fraction + 1) / 2
    log_variance = share * at["high"] + (1 - share) * at["low"]
    moved = at["of_x0"] * ((1 - at["bar"]) / at["bar"]).sqrt() * error
    return 0.5 * (log_variance - at["low"] + (at["low"] - log_variance).exp() + moved.square() * (-log_variance).exp() - 1)
