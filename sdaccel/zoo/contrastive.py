"""Train clip_mini, an open_clip model of the world: pictures and captions, with captions one attribute away as negatives."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import sdaccel.torchvision_guard  # noqa: F401  (before open_clip)
from sdaccel import world
from sdaccel.metrics.texts import beats_all
from sdaccel.world.captions import CONTEXT, END, PAD, VOCAB, caption_tokens, negative_tokens
from sdaccel.world.render import render
from sdaccel.zoo.training import Batch, indices

RESOLUTION = 64
NEGATIVES = 4
"""Hard negatives per picture in training."""
CONFIG: dict[str, Any] = {
    "embed_dim": 128,
    "vision_cfg": {"image_size": RESOLUTION, "patch_size": 8, "width": 128, "layers": 5, "head_width": 32, "pool_type": "avg"},
    "text_cfg": {
        "context_length": CONTEXT,
        "vocab_size": len(VOCAB),
        "width": 96,
        "heads": 4,
        "layers": 4,
        "pad_id": PAD,
        "eos_id": END,
        "pool_type": "argmax",
    },
}


def network(seed: int = 0) -> nn.Module:
    """open_clip's own CLIP class at small width."""
    from open_clip.model import CLIP

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CLIP(**CONFIG)


def normalised(images: Tensor) -> Tensor:
    """Pictures in [0, 1] as the vision tower wants them: mean and deviation 0.5."""
    return images * 2 - 1


class ContrastiveTask:
    """InfoNCE both ways; a picture also has to tell its caption from its hard negatives."""

    open_clip: ClassVar[dict[str, Any]] = {
        "model_cfg": CONFIG,
        "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3, "resize_mode": "squash"},
    }
    """What open_clip reads beside the weights."""

    def __init__(self) -> None:
        self.net = network()

    def batch(self, step: int, size: int) -> Batch:
        return {"index": indices(step, size)}

    def loss(self, net: Any, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        scenes = world.captioned("train", batch["index"])
        text = caption_tokens(scenes)
        wrong = negative_tokens(scenes, count=NEGATIVES)
        picture = net.encode_image(normalised(render(scenes, resolution=RESOLUTION)), normalize=True).float()
        said = net.encode_text(text, normalize=True).float()
        unsaid = net.encode_text(wrong.flatten(0, 1), normalize=True).float().unflatten(0, wrong.shape[:2])
        scale = net.logit_scale.exp().clamp(max=100)
        across = scale * picture @ said.T
        same = (text.unsqueeze(0) == text.unsqueeze(1)).all(-1).fill_diagonal_(False)
        across = across.masked_fill(same, float("-inf"))  # an equal caption is no wrong answer
        near = scale * (picture.unsqueeze(1) * unsaid).sum(-1)
        target = torch.arange(len(text), device=text.device)
        of_picture = F.cross_entropy(torch.cat([across, near], 1), target)
        right = (across.diagonal().unsqueeze(1) > near).all(1).float().mean()
        return 0.5 * (of_picture + F.cross_entropy(across.T, target)), {"beats_near": right.detach()}

    def measure(self, net: Any, device: torch.device) -> dict[str, float]:
        """Top-1 among 64 captions of test pictures."""
        return {"top1_of_64": top1(net, count=2048, device=device)}


@torch.no_grad()
def top1(net: Any, *, count: int, device: torch.device, candidates: int = 64) -> float:
    """Share of test pictures whose own complete caption scores best among `candidates`.

    Half of them differ in one attribute (31; a single object has only 23 such neighbours), the others are other scenes'.
    """
    right = asked = 0
    for index in torch.arange(count, device=device).split(256):
        scenes = world.captioned("test", index)
        picture = net.encode_image(normalised(render(scenes, resolution=RESOLUTION)), normalize=True).float()
        own = caption_tokens(scenes, complete=True)
        said = net.encode_text(own, normalize=True).float()
        for rows in ((scenes.count == 1).nonzero().squeeze(1), (scenes.count > 1).nonzero().squeeze(1)):
            some = scenes[rows]
            near = negative_tokens(some, count=23 if int(some.count[0]) == 1 else candidates // 2 - 1, complete=True)
            unsaid = net.encode_text(near.flatten(0, 1), normalize=True).float().unflatten(0, near.shape[:2])
            others = (rows.unsqueeze(1) + 1 + torch.arange(candidates - 1 - near.shape[1], device=device)) % len(scenes)
            right += int(beats_all(picture[rows], said[rows], torch.cat([unsaid, said[others]], 1)).sum())
            asked += len(rows)
    return right / asked
