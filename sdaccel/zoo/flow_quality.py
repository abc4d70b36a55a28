"""How well a flow paints what a caption says: the judge reads its pictures, and real ones for comparison."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sdaccel import world
from sdaccel.generators.flux.denoise import denoise
from sdaccel.generators.flux.packing import position_ids
from sdaccel.generators.flux.schedule import times
from sdaccel.generators.flux.seam import FluxSeam
from sdaccel.generators.flux.solvers import euler
from sdaccel.generators.flux.vae import FluxVae
from sdaccel.generators.text import TextTower, embed
from sdaccel.metrics.judge import RESOLUTION, Judge
from sdaccel.noise import Stream, normal, sample_seeds
from sdaccel.shipped import restore
from sdaccel.world.attributes import FIELDS, Scenes
from sdaccel.world.captions import caption_tokens, phrasing, stated
from sdaccel.world.render import render

STEPS = (50, 10)
ROWS = 128


@torch.no_grad()
def quality(
    net: Any,
    tower: TextTower,
    vae: FluxVae,
    *,
    resolution: int,
    count: int,
    guidances: Sequence[float],
    device: torch.device,
) -> dict[str, float]:
    """Accuracy on what test captions state: of real pictures, of their reconstructions, and by steps and guidance."""
    judge: Any = restore("judge_mini", Judge()).to(device)
    tower.to(device)
    vae.to(device)
    index = torch.arange(count, device=device)
    scenes = [world.captioned("test", part) for part in index.split(ROWS)]
    seeds = sample_seeds(0, range(count)).to(device).split(ROWS)
    real = [render(s, resolution=resolution) for s in scenes]
    side = {"height": resolution, "width": resolution}
    found = report("real", judge, scenes, real)
    found |= report("reconstructed", judge, scenes, [vae.roundtrip(image * 2 - 1) for image in real])
    for steps, cfg in product(STEPS, guidances):
        made = [paint(net, tower, vae, s, own, steps=steps, cfg=cfg, **side) for s, own in zip(scenes, seeds, strict=True)]
        found |= report(f"steps={steps}/cfg={cfg:g}", judge, scenes, made)
    return found


def paint(
    net: Any, tower: TextTower, vae: FluxVae, scenes: Scenes, seeds: Tensor, *, steps: int, cfg: float, height: int, width: int
) -> Tensor:
    """Pictures of the scenes' captions."""
    rows, columns = height // vae.factor // 2, width // vae.factor // 2
    hidden, pooled = tower(caption_tokens(scenes))
    if cfg != 1:
        empty = [part.expand(len(scenes), *part.shape[1:]) for part in embed(tower, [""])]
        hidden, pooled = torch.cat([hidden, empty[0]]), torch.cat([pooled, empty[1]])
    inputs = {
        "encoder_hidden_states": hidden,
        "pooled_projections": pooled,
        "img_ids": position_ids(rows, columns).to(hidden.device),
        "txt_ids": torch.zeros(hidden.shape[1], 3, device=hidden.device),
    }
    schedule = times(steps, tokens=rows * columns)
    seam = FluxSeam(net, inputs=inputs, times=schedule, dtype=torch.float32, true_cfg=cfg)
    x = normal(seeds, Stream.LATENT, (rows * columns, net.config.in_channels))
    x, _ = denoise(seam, x, advance=euler(schedule), rule=None, seen=lambda x: None)
    return vae.decode(x, height=height, width=width)


def report(name: str, judge: Any, scenes: Sequence[Scenes], images: Sequence[Tensor]) -> dict[str, float]:
    """Share of stated attributes that the judge reads, by attribute and their mean."""
    right, asked = torch.zeros(len(FIELDS)), torch.zeros(len(FIELDS))
    for some, pictures in zip(scenes, images, strict=True):
        said = stated(some.facts, phrasing(some))
        small = F.adaptive_avg_pool2d(pictures, RESOLUTION)
        right += ((judge.attributes(small) == some.facts) & said).sum(0).cpu()
        asked += said.sum(0).cpu()
    shares = {field: float(r / a) for field, r, a in zip(FIELDS, right, asked, strict=True) if a > 0}
    return {f"accuracy/{name}": sum(shares.values()) / len(shares)} | {
        f"accuracy/{name}/{field}": share for field, share in shares.items()
    }
