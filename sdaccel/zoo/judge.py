"""Train the judge: every attribute of a scene from its pixels, from the renderer's ground truth and nothing of CLIP's."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sdaccel.zoo import world
from sdaccel.zoo.attributes import FIELDS
from sdaccel.zoo.render import render
from sdaccel.zoo.training import Batch, indices

RESOLUTION = 64
WIDTHS = (32, 64, 96, 120)
NOISE = 0.03
"""Standard deviation of pixel noise in training: what generators make is never quite clean."""


class Residual(nn.Module):
    def __init__(self, cin: int, cout: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.norm1 = nn.GroupNorm(8, cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.norm2 = nn.GroupNorm(8, cout)
        self.skip = nn.Conv2d(cin, cout, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = F.silu(self.norm1(self.conv1(x)))
        return F.silu(self.norm2(self.conv2(h)) + self.skip(x))


class Judge(nn.Module):
    """Pictures (B, 3, 64, 64) in [0, 1] to the logits of every attribute, side by side (B, sum of FIELDS)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(5, WIDTHS[0], 3, 1, 1)
        pairs = zip((WIDTHS[0], *WIDTHS), WIDTHS, strict=False)
        self.blocks = nn.Sequential(*(Residual(cin, cout, stride=1 if i == 0 else 2) for i, (cin, cout) in enumerate(pairs)))
        self.head = nn.Linear(4 * WIDTHS[-1], sum(FIELDS.values()))

    def forward(self, images: Tensor) -> Tensor:
        axis = torch.linspace(-1, 1, images.shape[-1], device=images.device, dtype=images.dtype)
        grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij")).expand(len(images), -1, -1, -1)  # left and right differ
        h = self.blocks(self.stem(torch.cat([images * 2 - 1, grid], 1)))
        return self.head(F.adaptive_avg_pool2d(h, 2).flatten(1))

    def attributes(self, images: Tensor) -> Tensor:
        """(B, 17) the likeliest value of every column of FIELDS."""
        return torch.stack([part.argmax(-1) for part in self(images).split(list(FIELDS.values()), -1)], -1)


class JudgeTask:
    def __init__(self) -> None:
        self.net = Judge()

    def batch(self, step: int, size: int) -> Batch:
        return {"index": indices(step, size)}

    def loss(self, net: nn.Module, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        parts = batch["index"].split(len(batch["index"]) // 2)
        scenes = [world.captioned("train", parts[0]), world.classes("train", parts[1])]
        images = torch.cat([render(s, resolution=RESOLUTION) for s in scenes])
        facts = torch.cat([s.facts for s in scenes])
        images = images + NOISE * torch.randn(images.shape, generator=generator, device=images.device)
        parts_of = net(images).float().split(list(FIELDS.values()), -1)
        asked = (facts >= 0).sum(0).clamp(min=1)  # a small batch may not ask for everything
        losses = [
            F.cross_entropy(part, facts[:, i], ignore_index=-1, reduction="sum") / asked[i] for i, part in enumerate(parts_of)
        ]
        right = torch.stack([part.argmax(-1) for part in parts_of], -1) == facts
        return torch.stack(losses).sum(), {"accuracy": right[facts >= 0].float().mean()}

    def measure(self, net: nn.Module, device: torch.device) -> dict[str, float]:
        """Test accuracy by attribute and its mean."""
        found = accuracy(net, count=4096, device=device)
        return {"mean_accuracy": sum(found.values()) / len(found)} | {f"accuracy/{name}": v for name, v in found.items()}


@torch.no_grad()
def accuracy(net: Any, *, count: int, device: torch.device) -> dict[str, float]:
    """Share of right answers by attribute over captioned test scenes, where the scene has the attribute."""
    right, asked = torch.zeros(len(FIELDS), device=device), torch.zeros(len(FIELDS), device=device)
    for index in torch.arange(count, device=device).split(512):
        scenes = world.captioned("test", index)
        found = net.attributes(render(scenes, resolution=RESOLUTION))
        right += ((found == scenes.facts) & (scenes.facts >= 0)).sum(0)
        asked += (scenes.facts >= 0).sum(0)
    return dict(zip(FIELDS, (right / asked).tolist(), strict=True))
