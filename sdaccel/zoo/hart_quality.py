"""How well a HART paints what a caption says: judge and CLIP read its pictures, and real ones for comparison."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sdaccel import world
from sdaccel.generators.hart.context import Context, positions
from sdaccel.generators.hart.diffusion import Chain
from sdaccel.generators.hart.model import HART
from sdaccel.generators.hart.sampler import HartModel, HartRace, stale_guidance
from sdaccel.generators.nextscale.loop import sample
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE
from sdaccel.generators.text import TextTower
from sdaccel.metrics.judge import Judge
from sdaccel.metrics.texts import beats_all
from sdaccel.noise import sample_seeds
from sdaccel.shipped import resolve, restore
from sdaccel.world.attributes import Scenes
from sdaccel.world.captions import PAD, caption_tokens
from sdaccel.world.render import render
from sdaccel.zoo.contrastive import RESOLUTION, normalised
from sdaccel.zoo.flow_quality import report

ROWS = 32
CANDIDATES = 16


@torch.no_grad()
def quality(
    net: HART,
    tower: TextTower,
    vae: VQVAE,
    *,
    count: int,
    guidances: Sequence[float],
    steps: Sequence[int],
    device: torch.device,
) -> dict[str, float]:
    """What test captions state and the judge reads, and whose caption CLIP finds first, by head steps (0: none), guidance."""
    import sdaccel.torchvision_guard  # noqa: F401, I001  (before open_clip)
    import open_clip

    judge: Any = restore("judge_mini", Judge()).to(device)
    clip: Any = open_clip.create_model(f"local-dir:{resolve('shipped:clip_mini')}").float().eval().to(device)
    scenes = [world.captioned("test", part) for part in torch.arange(count, device=device).split(ROWS)]
    seeds = sample_seeds(0, range(count)).to(device).split(ROWS)
    real = [render(s, resolution=net.layout.side * 2 ** (len(vae.encoder.down) - 1)) for s in scenes]
    rows = {"real": real, "reconstructed": [(vae.roundtrip(image * 2 - 1, net.layout) + 1) / 2 for image in real]}
    for n, cfg in product(steps, guidances):
        rows[f"steps={n}/cfg={cfg:g}"] = [
            paint(net, tower, vae, s, own, cfg=cfg, steps=n) for s, own in zip(scenes, seeds, strict=True)
        ]
    found: dict[str, float] = {}
    for name, images in rows.items():
        found |= report(name, judge, scenes, images) | {f"first_of_16/{name}": first(clip, scenes, images)}
    return found


def told(tower: TextTower, scenes: Scenes) -> Context:
    """The scenes' captions as HART reads them."""
    tokens = caption_tokens(scenes)
    with torch.autocast(tokens.device.type, enabled=False):
        hidden, _ = tower(tokens)
    return Context(hidden, positions(tokens != PAD))


def paint(net: HART, tower: TextTower, vae: VQVAE, scenes: Scenes, seeds: Tensor, *, cfg: float, steps: int) -> Tensor:
    """Pictures of the scenes' captions, (B, 3, H, W) in [0, 1], by so many steps of the residual head."""
    model = HartModel(net, vae, chain=Chain.of(steps) if steps else None)
    sampling = stale_guidance(scales=net.layout.scales, vocab=net.geometry.vocab, cfg=cfg, more_smooth=False)
    return sample(model, told(tower, scenes), noise=HartRace(seeds), sampling=sampling).images


def first(clip: Any, scenes: Sequence[Scenes], images: Sequence[Tensor]) -> float:
    """Share of pictures that are nearer to their own caption than to those of 15 other scenes."""
    right = []
    for some, pictures in zip(scenes, images, strict=True):
        picture = clip.encode_image(normalised(F.adaptive_avg_pool2d(pictures, RESOLUTION)))
        text = clip.encode_text(caption_tokens(some, complete=True))
        own = torch.arange(len(text), device=text.device)
        others = (own.unsqueeze(1) + torch.arange(1, min(CANDIDATES, len(text)), device=text.device)) % len(text)
        right.append(beats_all(picture, text, text[others]))
    return float(torch.cat(right).float().mean())
