"""Train VAR transformers on the tokenizer's tokens, with teacher forcing; a draft may learn from a target's logits."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sdaccel import world
from sdaccel.generators.var import init
from sdaccel.generators.var.model import VAR, Geometry
from sdaccel.generators.var.vqvae import VQVAE
from sdaccel.world.attributes import CLASSES
from sdaccel.world.render import render
from sdaccel.zoo.tokenizer import RESOLUTION, SCALES
from sdaccel.zoo.training import Batch, indices

LABEL_DROP = 0.1


def geometry(depth: int, *, vocab: int = 432, Cvae: int = 8) -> Geometry:
    """The official family at small depth: C = 64 d, one adaLN for all blocks."""
    return Geometry(depth=depth, patch_nums=SCALES, num_classes=len(CLASSES), vocab=vocab, Cvae=Cvae, shared_aln=True)


def network(depth: int) -> VAR:
    """With the published initialisation."""
    model = VAR(geometry(depth))
    shapes = {name: p.shape for name, p in model.named_parameters()}
    model.load_state_dict(init.published(shapes, geometry=geometry(depth), seed=0), strict=False)
    return model


class NextScaleTask:
    """Cross entropy on the true tokens of every scale; with a teacher, half of it on the teacher's probabilities."""

    def __init__(self, depth: int, *, tokenizer: VQVAE, teacher: VAR | None = None) -> None:
        self.net = network(depth)
        self.tokenizer = tokenizer.requires_grad_(False)
        self.teacher = teacher.requires_grad_(False) if teacher else None

    def batch(self, step: int, size: int) -> Batch:
        return {"index": indices(step, size)}

    def loss(self, net: nn.Module, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        scenes = world.classes("train", batch["index"])
        device, labels = scenes.keys.device, scenes.labels
        self.tokenizer.to(device)
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            images = render(scenes, resolution=RESOLUTION) * 2 - 1
            idx, _ = self.tokenizer.tokenize(self.tokenizer.encode(images), SCALES)
            _, maps = self.tokenizer.paint(idx, SCALES)
        dropped = torch.rand(len(labels), generator=generator, device=device) < LABEL_DROP
        labels = torch.where(dropped, torch.full_like(labels, len(CLASSES)), labels)
        logits = net(labels, maps)
        truth = F.cross_entropy(logits.float().transpose(1, 2), idx)
        right = (logits.detach().argmax(-1) == idx).float().mean()
        figures = {"cross_entropy": truth.detach(), "accuracy": right}
        if self.teacher is None:
            return truth, figures
        with torch.no_grad():
            stated = self.teacher.to(device)(labels, maps).float().softmax(-1)
        distilled = -(stated * logits.float().log_softmax(-1)).sum(-1).mean()
        return 0.5 * truth + 0.5 * distilled, figures | {"distilled": distilled.detach()}
