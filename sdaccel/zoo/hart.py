"""Train hart_mini's transformer on the hybrid tokenizer's tokens, with teacher forcing.

A full sequence costs ninety times what its first nine scales do, so training goes through phases: most steps on
the first scales, then all of them with only some tokens of the long ones, as the authors train (arXiv 2410.10812, section 3.3),
at last all tokens.

B samples · K scales of a phase · rows: text, then chosen tokens of every scale
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sdaccel import world
from sdaccel.errors import BadInput
from sdaccel.generators.hart.model import HART, Geometry
from sdaccel.generators.hart.sampler import RESIDUAL_SCALE
from sdaccel.generators.nextscale.canvas import Canvas, as_tokens
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE, inputs
from sdaccel.generators.text import TextTower, text_tower
from sdaccel.noise import sample_seeds
from sdaccel.shipped import resolve, restore
from sdaccel.world.attributes import Scenes
from sdaccel.world.captions import captions
from sdaccel.world.render import render
from sdaccel.zoo.denoising import denoising_loss, noised
from sdaccel.zoo.flow import UNTOLD, turn
from sdaccel.zoo.hart_lesson import Phase, chosen_tokens, hidden_states, lesson, tokens_of
from sdaccel.zoo.hart_quality import paint, quality, told
from sdaccel.zoo.hybrid_tokenizer import VOCAB, continuous, hybrid_network
from sdaccel.zoo.sheets import COLUMNS, Sheet
from sdaccel.zoo.training import Batch

CHUNK = 128
"""Scenes drawn and encoded at a time."""


PHASES = (
    {"steps": 3000, "batch": 512, "scales": 9},
    {"steps": 800, "batch": 128, "scales": 14, "tokens": 512},
    {"steps": 400, "batch": 16, "scales": 14},
)


def mini(**sizes: Any) -> Geometry:
    """2 M parameters with the residual head: deep rather than wide, and narrow heads, for words that belong to objects."""
    small = {
        "depth": 8,
        "embed_dim": 128,
        "heads": 4,
        "hidden": 352,
        "vocab": VOCAB,
        "Cvae": 8,
        "head_width": 128,
        "head_depth": 3,
    }
    return Geometry(**(small | {"context_tokens": 32, "context_width": 96} | sizes))


def network(geometry: Geometry, *, seed: int = 0) -> HART:
    """N(0, 0.02), products that join the residual stream smaller by depth, modulations from zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = HART(geometry)
        for name, p in net.named_parameters():
            if p.ndim > 1:
                nn.init.normal_(p, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(p)
            if name.endswith(("attn.proj.weight", "down_proj.weight")):
                p.data.mul_((2 * geometry.depth) ** -0.5)
            if "ada" in name or name.startswith("diffloss.net.final_layer"):
                nn.init.zeros_(p)
    return net


@dataclass(frozen=True)
class Pool:
    """Scenes ready to learn from: tokens (N, L), the canvas's maps before every scale but the first (N, L - 1, Cvae), residuals
    (N, l, Cvae), text (N + 1, T, W) and its positions (N + 1, T), of which the last row is no text."""

    number: int
    tokens: Tensor
    maps: Tensor
    residual: Tensor
    text: Tensor
    positions: Tensor


class HartTask:
    """Cross entropy of the true tokens: every scale's mean counts as the side of the scale, or the last two would be all.

    `whole` is a trained transformer to go on with. With `residual` its states learn what the residual head asks of them, too,
    as the authors train both (section 3.3).
    """

    def __init__(
        self,
        *,
        phases: Sequence[dict[str, int]] = PHASES,
        text: str | TextTower = "shipped:clip_mini",
        tokenizer: str | VQVAE = "hart_tokenizer",
        geometry: Geometry | None = None,
        whole: str | HART | None = None,
        residual: bool = False,
        pool: int = 16384,
        reuse: int = 16,
        cfg: Sequence[float] = (1.0, 2.0, 4.0),
    ) -> None:
        self.geometry = geometry or mini()
        self.layout = self.geometry.layout
        if isinstance(tokenizer, str):
            tokenizer = cast(VQVAE, restore(tokenizer, hybrid_network(scales=self.layout.scales)))
        self.text = text_tower(resolve(text)) if isinstance(text, str) else text
        self.tokenizer = tokenizer.requires_grad_(False)
        self.net: Any = network(self.geometry)
        if whole is not None:
            self.net = restore(whole, self.net).requires_grad_() if isinstance(whole, str) else whole
        self.residual, self.shown_steps = residual, (0, 8) if residual else (0,)
        self.phases, self.pool_size, self.reuse, self.cfg = [Phase(**phase) for phase in phases], pool, reuse, tuple(cfg)
        self.resolution = self.layout.side * 2 ** (len(tokenizer.encoder.down) - 1)
        self.pool: Pool | None = None
        self.encode = self.tokenizer.encode

    def phase(self, step: int) -> tuple[Phase, int]:
        """The phase of a step, and how many examples were seen before it."""
        seen = 0
        for phase in self.phases:
            if step < phase.steps:
                return phase, seen + step * phase.batch
            step, seen = step - phase.steps, seen + phase.steps * phase.batch
        raise BadInput(f"recipe.steps is more than the {len(self.phases)} phases of the task have; give them as many steps.")

    def batch(self, step: int, size: int) -> Batch:
        phase, seen = self.phase(step)
        if self.pool_size % phase.batch or seen % phase.batch:
            raise BadInput(f"model.task.pool={self.pool_size} must be a multiple of every phase's batch.")
        number, rows = turn(seen // phase.batch, size=phase.batch, pool=self.pool_size, reuse=self.reuse)
        return {"pool": torch.tensor(number), "rows": rows, "step": torch.tensor(step)}

    @torch.no_grad()
    def prepare(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Text and its rotations, and of every scale of the phase the chosen tokens with the maps that the model sees there."""
        rows, device, number = batch["rows"], batch["rows"].device, int(batch["pool"])
        if self.pool is None or self.pool.number != number:
            self.pool = self.fill(number, device)
        phase, _ = self.phase(int(batch["step"]))
        untold = torch.rand(len(rows), generator=generator, device=device) < UNTOLD
        read = torch.where(untold, self.pool_size, rows)
        chosen = chosen_tokens(self.layout, phase, generator)
        batch = lesson(
            self.pool.tokens[rows].long(),
            self.pool.maps[rows],
            chosen,
            text=self.pool.text[read],
            positions=self.pool.positions[read],
            layout=self.layout,
            head_dim=self.geometry.head_dim,
        )
        if not self.residual or phase.scales < self.layout.scales:
            return batch
        codes = self.tokenizer.quantize.embedding(tokens_of(batch)[-1])
        r = self.pool.residual[rows][:, chosen[-1]].flatten(0, 1).float()
        return batch | {"codes": codes} | noised(r, generator)

    def loss(self, net: Any, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        hidden, modulation = hidden_states(net, batch)
        tokens = tokens_of(batch)
        logits = net.logits(hidden[:, self.layout.prefix - 1 :], modulation).float()
        found = F.cross_entropy(logits.flatten(0, 1), torch.cat(tokens, 1).flatten(), reduction="none").view(len(hidden), -1)
        means = torch.stack([part.mean() for part in found.split([t.shape[1] for t in tokens], 1)])
        sides = torch.tensor(self.layout.patch_nums[: len(means)], dtype=means.dtype, device=means.device)
        figures = {"cross_entropy": found.detach().mean(), "first": means[:5].detach().mean(), "last": means[-1].detach()}
        loss = (means * sides).sum() / sides.sum()
        if "r" in batch:
            codes = batch["codes"]
            u = hidden[:, -codes.shape[1] :].float() + net.word_embed(codes).float()
            of_residual, more = denoising_loss(net, u.flatten(0, 1), batch)
            return loss + of_residual, figures | more
        return loss, figures

    def fill(self, number: int, device: torch.device) -> Pool:
        """Draw, encode and read a pool of train scenes; behind its texts comes none."""
        self.move(device)
        index = torch.arange(number * self.pool_size, (number + 1) * self.pool_size, device=device)
        made = []
        for part in index.split(CHUNK):
            scenes = world.captioned("train", part)
            tokens, canvas, r = self.tokens(scenes)
            context = told(self.text, scenes)
            made.append((tokens.to(torch.int16), inputs(canvas), r.bfloat16(), context.hidden, context.positions))
        tokens, maps, r, text, positions = (torch.cat(parts) for parts in zip(*made, strict=True))
        none = torch.zeros_like(text[:1]), torch.zeros_like(positions[:1])
        return Pool(number, tokens, maps, r, torch.cat([text, none[0]]), torch.cat([positions, none[1]]))

    def move(self, device: torch.device) -> None:
        """Text tower and tokenizer to the device; on a GPU the encoder, which only labels data, runs in half precision."""
        tokenizer: Any = self.tokenizer  # `to` has an option that its stub does not know
        if tokenizer.quant_conv.weight.device == device:
            return
        self.text.to(device)
        tokenizer.to(device, memory_format=torch.channels_last)
        if device.type == "cuda":
            tokenizer.encoder.bfloat16()
            tokenizer.quant_conv.bfloat16()
            self.encode = torch.compile(tokenizer.encode, dynamic=False)

    def tokens(self, scenes: Scenes) -> tuple[Tensor, Canvas, Tensor]:
        """(B, L) of the scenes' pictures, what they paint, and what they leave out in the residual head's units."""
        with torch.autocast(scenes.keys.device.type, enabled=False):
            f = self.encode(render(scenes, resolution=self.resolution) * 2 - 1)
            tokens, canvas = self.tokenizer.tokenize(f, self.layout)
            return tokens, canvas, (as_tokens(f - canvas.f_hat) / RESIDUAL_SCALE).clamp(-1, 1)

    def measure(self, net: Any, device: torch.device, *, count: int = 256) -> dict[str, float]:
        """Cross entropy of test tokens by scale, and what judge and CLIP read in generated pictures."""
        self.pool = None
        self.move(device)
        return self.test_loss(net, device, count=32) | self.painted(net, device, count=count)

    def painted(self, net: Any, device: torch.device, *, count: int) -> dict[str, float]:
        return quality(net, self.text, self.tokenizer, count=count, guidances=self.cfg, steps=self.shown_steps, device=device)

    @torch.no_grad()
    def test_loss(self, net: Any, device: torch.device, *, count: int) -> dict[str, float]:
        """Nats per token on test scenes, at every scale and over all of them."""
        whole, found = Phase(1, 1, self.layout.scales), []
        for part in torch.arange(count, device=device).split(16):
            scenes = world.captioned("test", part)
            context = told(self.text, scenes)
            tokens, canvas, _ = self.tokens(scenes)
            batch = lesson(
                tokens,
                inputs(canvas),
                chosen_tokens(self.layout, whole, torch.Generator(device)),
                text=context.hidden,
                positions=context.positions,
                layout=self.layout,
                head_dim=self.geometry.head_dim,
            )
            hidden, modulation = hidden_states(net, batch)
            logits = net.logits(hidden[:, self.layout.prefix - 1 :], modulation)
            found.append(F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), reduction="none").view(len(part), -1))
        losses = torch.cat(found)
        scales = zip(self.layout.patch_nums, losses.split(self.layout.lengths(), 1), strict=True)
        return {"cross_entropy": float(losses.mean())} | {
            f"cross_entropy/{side}x{side}": float(part.mean()) for side, part in scales
        }

    def sheet(self, net: Any, device: torch.device) -> Sheet:
        """Test captions: the real picture, its reconstructions, and what is generated."""
        self.move(device)
        scenes = world.captioned("test", torch.arange(COLUMNS, device=device))
        real = render(scenes, resolution=self.resolution)
        rows = {"real": real, "codes": (self.tokenizer.roundtrip(real * 2 - 1, self.layout) + 1) / 2}
        rows["codes and residual"] = (continuous(self.tokenizer, real * 2 - 1) + 1) / 2
        seeds = sample_seeds(0, range(COLUMNS)).to(device)
        for steps in self.shown_steps:
            name = f"generated, {steps} head steps" if steps else "generated, no residual"
            rows[name] = paint(net, self.text, self.tokenizer, scenes, seeds, cfg=self.cfg[1], steps=steps)
        return Sheet(captions(scenes), rows)
