"""Train VAR transformers on the tokenizer's tokens, with teacher forcing; a draft may learn from a target's logits."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sdaccel import world
from sdaccel.generators.nextscale.layout import Layout
from sdaccel.generators.nextscale.loop import sample
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE, inputs
from sdaccel.generators.nextscale.tokens import PhiloxRace
from sdaccel.generators.var import init
from sdaccel.generators.var.model import VAR, Geometry
from sdaccel.generators.var.sampler import VarModel, growing_guidance
from sdaccel.metrics.judge import Judge
from sdaccel.noise import Stream, sample_seeds, uniform
from sdaccel.shipped import restore
from sdaccel.world.attributes import CLASSES, COLUMN, MATERIALS, Scenes
from sdaccel.world.render import render
from sdaccel.zoo import tokenizer as tokenizers
from sdaccel.zoo.sheets import COLUMNS, Sheet
from sdaccel.zoo.training import Batch, indices

LABEL_DROP = 0.1
"""Share of scenes that are learnt without their label, for guidance."""
DROP_WORD = 1024
"""Where in a scene's stream the draw for that stands, behind all that the scene itself uses."""
TARGET_DEPTH = 4
GUIDANCE = (0.0, 1.0, 2.0, 4.0)
"""cfg values that `measure` tries."""
CHUNK = 192
"""Pictures at a time in `measure`: every batch shape would be compiled anew."""


def network(depth: int, *, patch_nums: Sequence[int] = tokenizers.SCALES, vocab: int = 432, Cvae: int = 8) -> VAR:
    """The official family at small depth: C = 64 d, one adaLN for all blocks, the published initialisation."""
    geometry = Geometry(
        depth=depth, patch_nums=tuple(patch_nums), num_classes=len(CLASSES), vocab=vocab, Cvae=Cvae, shared_aln=True
    )
    model = VAR(geometry)
    shapes = {name: p.shape for name, p in model.named_parameters()}
    model.load_state_dict(init.published(shapes, geometry=geometry, seed=0), strict=False)
    return model


class NextScaleTask:
    """Cross entropy on the true tokens of every scale; with a teacher, half of it on the teacher's probabilities.

    Tokenizer and teacher are shipped weights by name, or modules.
    """

    def __init__(
        self,
        depth: int,
        *,
        tokenizer: str | VQVAE = "vqvae_mini",
        teacher: str | VAR | None = None,
        patch_nums: Sequence[int] = tokenizers.SCALES,
    ) -> None:
        if isinstance(tokenizer, str):
            tokenizer = cast(VQVAE, restore(tokenizer, tokenizers.network()))
        if isinstance(teacher, str):
            teacher = cast(VAR, restore(teacher, network(TARGET_DEPTH)))
        self.tokenizer, self.teacher = tokenizer.requires_grad_(False), teacher and teacher.requires_grad_(False)
        self.layout = Layout(tuple(patch_nums))
        vocab, Cvae = tokenizer.quantize.embedding.weight.shape
        self.net: nn.Module = network(depth, patch_nums=patch_nums, vocab=vocab, Cvae=Cvae)
        self.side = self.layout.side * 2 ** (len(tokenizer.encoder.down) - 1)

    def batch(self, step: int, size: int) -> Batch:
        return {"index": indices(step, size)}

    def loss(self, net: nn.Module, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        self.move(batch["index"].device)
        labels, idx, maps = self.lesson(world.classes("train", batch["index"]))
        logits = net(labels, maps).flatten(0, 1).float()
        truth = F.cross_entropy(logits, idx.flatten())
        right = (logits.detach().argmax(-1) == idx.flatten()).float().mean()
        figures = {"cross_entropy": truth.detach(), "accuracy": right}
        if self.teacher is None:
            return truth, figures
        with torch.no_grad():
            stated = self.teacher(labels, maps).flatten(0, 1).float().softmax(-1)
        distilled = F.cross_entropy(logits, stated)
        return 0.5 * truth + 0.5 * distilled, figures | {"distilled": distilled.detach()}

    @torch.compiler.disable
    def move(self, device: torch.device) -> None:
        """Tokenizer and teacher to the device; on a GPU the encoder, which only labels data, runs in half precision."""
        tokenizer: Any = self.tokenizer  # `to` has an option that its stub does not know
        if tokenizer.quant_conv.weight.device == device:
            return
        tokenizer.to(device, memory_format=torch.channels_last)
        if device.type == "cuda":
            tokenizer.encoder.bfloat16()
            tokenizer.quant_conv.bfloat16()
        if self.teacher is not None:
            self.teacher.to(device)

    @torch.no_grad()
    def lesson(self, scenes: Scenes) -> tuple[Tensor, Tensor, Tensor]:
        """Labels (B,), some of them dropped, true tokens (B, L) and input maps (B, L - 1, Cvae)."""
        idx, maps = self.tokens(scenes)
        dropped = uniform(scenes.keys, Stream.CONDITION, (1,), start=DROP_WORD).squeeze(1) < LABEL_DROP
        return scenes.labels.masked_fill(dropped, len(CLASSES)), idx, maps

    def tokens(self, scenes: Scenes) -> tuple[Tensor, Tensor]:
        """Tokens and input maps of the scenes' pictures."""
        with torch.autocast(scenes.keys.device.type, enabled=False):
            images = render(scenes, resolution=self.side) * 2 - 1
            idx, canvas = self.tokenizer.tokenize(self.tokenizer.encode(images), self.layout)
            return idx, inputs(canvas)

    def measure(self, net: Any, device: torch.device, *, per_class: int = 48) -> dict[str, float]:
        """Cross entropy of test tokens by scale; share of pictures whose class the judge reads right, by origin."""
        self.move(device)
        judge = restore("judge_mini", Judge()).to(device)
        found = self.test_loss(net, device, count=20 * per_class)
        real, rebuilt = [], []
        for index in torch.arange(len(CLASSES) * per_class, device=device).split(CHUNK):
            scenes = world.classes("test", index)
            images = render(scenes, resolution=self.side)
            again = self.rebuild(images)
            real.append(judged(judge, images) == scenes.labels)
            rebuilt.append(judged(judge, again) == scenes.labels)
        found |= {"class_accuracy/real": share(real), "class_accuracy/reconstructed": share(rebuilt)}
        for cfg in GUIDANCE:
            found[f"class_accuracy/cfg={cfg:g}"] = self.generated_accuracy(net, judge, device, cfg=cfg, per_class=per_class)
        return found

    def sheet(self, net: Any, device: torch.device) -> Sheet:
        """One class in three: a real picture, its reconstruction, and one that was asked for by the label alone."""
        self.move(device)
        labels = torch.arange(0, len(CLASSES), len(CLASSES) // COLUMNS, device=device)
        real = render(world.of_class(labels, world.keys("test", labels, world=0)), resolution=self.side)
        made = self.generate(net, labels, sample_seeds(0, range(len(labels))).to(device), cfg=GUIDANCE[2])
        rows = {"real": real, "reconstructed": self.rebuild(real), f"generated, cfg {GUIDANCE[2]:g}": made}
        return Sheet([CLASSES[label] for label in labels.tolist()], rows)

    @torch.no_grad()
    def test_loss(self, net: Any, device: torch.device, *, count: int) -> dict[str, float]:
        """Nats per token on test scenes, at every scale and over all of them."""
        losses = []
        for index in torch.arange(count, device=device).split(CHUNK):
            scenes = world.classes("test", index)
            idx, maps = self.tokens(scenes)
            logits = net(scenes.labels, maps)
            losses.append(F.cross_entropy(logits.flatten(0, 1), idx.flatten(), reduction="none").view_as(idx))
        every = torch.cat(losses)  # (count, L)
        scales = zip(self.layout.patch_nums, every.split(self.layout.lengths(), 1), strict=True)
        return {"cross_entropy": float(every.mean())} | {
            f"cross_entropy/{side}x{side}": float(part.mean()) for side, part in scales
        }

    @torch.no_grad()
    def rebuild(self, images: Tensor) -> Tensor:
        """Pictures in [0, 1] through the tokens and back."""
        return (self.tokenizer.roundtrip(images * 2 - 1, self.layout) + 1) / 2

    def generate(self, net: VAR, labels: Tensor, seeds: Tensor, *, cfg: float) -> Tensor:
        """Pictures in [0, 1] by the real sampler, with all codes allowed."""
        sampling = growing_guidance(scales=self.layout.scales, cfg=cfg, top_k=0, top_p=0.0, more_smooth=False)
        return sample(VarModel(net, self.tokenizer), labels, noise=PhiloxRace(seeds), sampling=sampling).images

    def generated_accuracy(self, net: VAR, judge: nn.Module, device: torch.device, *, cfg: float, per_class: int) -> float:
        """Share of generated pictures whose class the judge reads right."""
        labels = torch.arange(len(CLASSES), device=device).repeat(per_class)
        seeds = sample_seeds(0, range(len(labels))).to(device)
        right = []
        for rows in torch.arange(len(labels), device=device).split(CHUNK):
            right.append(judged(judge, self.generate(net, labels[rows], seeds[rows], cfg=cfg)) == labels[rows])
        return share(right)


@torch.no_grad()
def judged(judge: Any, images: Tensor) -> Tensor:
    """(B,) the class that the judge reads: shape and material of the first object."""
    facts = judge.attributes(images)
    return facts[:, COLUMN["shape0"]] * len(MATERIALS) + facts[:, COLUMN["material0"]]


def share(right: Sequence[Tensor]) -> float:
    return float(torch.cat(list(right)).float().mean())
