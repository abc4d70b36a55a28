"""Train hart_mini's residual head behind its finished transformer: what codes leave out, token by token, by denoising.

u, r as in sdaccel.zoo.denoising
"""

from typing import Any

import torch
from torch import Tensor

from sdaccel import world
from sdaccel.generators.hart.model import HART
from sdaccel.generators.nextscale.tokenizer.vqvae import inputs
from sdaccel.zoo.denoising import denoising_loss, noised
from sdaccel.zoo.flow import UNTOLD
from sdaccel.zoo.hart import HartTask
from sdaccel.zoo.hart_lesson import Phase, chosen_tokens, hidden_states, lesson, tokens_of
from sdaccel.zoo.hart_quality import told
from sdaccel.zoo.training import Batch

SCENES = 16
"""At a time through the transformer."""
PARTS = ("decoder_norm", "diffloss")
"""What is trained."""


class HeadTask(HartTask):
    """Tokens of `pool` scenes are prepared at a time and each is learnt from `reuse` times on average."""

    def __init__(self, *, whole: str | HART = "hart_mini", **options: Any) -> None:
        super().__init__(whole=whole, residual=True, **options)
        for name, parameter in self.net.named_parameters():
            parameter.requires_grad_(name.startswith(PARTS))
        self.made: tuple[int, Tensor, Tensor] | None = None
        self.hidden = hidden_states

    def batch(self, step: int, size: int) -> Batch:
        available = self.pool_size * self.layout.tokens(self.layout.scales - 1)
        rows = torch.randint(available, (size,), generator=torch.Generator().manual_seed(step))
        return {"pool": torch.tensor(step * size // (self.reuse * available)), "rows": rows}

    @torch.no_grad()
    def prepare(self, batch: Batch, generator: torch.Generator) -> Batch:
        rows, device, number = batch["rows"], batch["rows"].device, int(batch["pool"])
        if self.made is None or self.made[0] != number:
            self.made = (number, *self.tokens_told(number, device))
        return {"u": self.made[1][rows].float()} | noised(self.made[2][rows], generator)

    def loss(self, net: Any, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        return denoising_loss(net, batch["u"], batch)

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
        tokens, canvas, r = self.tokens(scenes)
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
        return u.flatten(0, 1).bfloat16(), r.flatten(0, 1)

    def move(self, device: torch.device) -> None:
        """In float32: what is learnt here is smaller than what half precision loses."""
        self.text.to(device)
        self.tokenizer.to(device)
        self.net.to(device)

    def measure(self, net: Any, device: torch.device, *, count: int = 256) -> dict[str, float]:
        """What judge and CLIP read, with the residual and without it."""
        self.move(device)
        return self.painted(net, device, count=count)
