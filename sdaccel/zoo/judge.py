"""Train the judge: every attribute of a scene from its pixels, from the renderer's ground truth and nothing of CLIP's."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sdaccel import world
from sdaccel.metrics.judge import RESOLUTION, Judge
from sdaccel.world.attributes import FIELDS
from sdaccel.world.render import render
from sdaccel.zoo.training import Batch, indices

NOISE = 0.03
"""Standard deviation of pixel noise in training: what generators make is never quite clean."""


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
