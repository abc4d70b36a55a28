"""Train flux_mini: a flow from noise to the autoencoder's tokens, told by clip_mini's text tower what to paint.

x_t = (1 - t) x_0 + t noise        velocity = noise - x_0        t = sigmoid(mu + SPREAD z), mu as in the sampler's schedule
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from sdaccel import world
from sdaccel.errors import BadInput
from sdaccel.generators.flux.model import Shape, transformer
from sdaccel.generators.flux.packing import position_ids
from sdaccel.generators.flux.schedule import shift_mu
from sdaccel.generators.flux.vae import FluxVae
from sdaccel.generators.text import TextTower, embed, text_tower
from sdaccel.noise import sample_seeds
from sdaccel.shipped import resolve, restore
from sdaccel.world.captions import caption_tokens, captions
from sdaccel.world.render import render
from sdaccel.zoo import flux_vae
from sdaccel.zoo.flow_quality import paint, quality
from sdaccel.zoo.sheets import COLUMNS, Sheet
from sdaccel.zoo.training import Batch

SPREAD = 1.2
"""Deviation of the logit of t."""
UNTOLD = 0.1
"""Share of examples that are painted without their caption, for guidance."""
CHUNK = 512
"""Scenes drawn and encoded at a time."""


def mini(*, channels: int, text_width: int, pooled_width: int) -> Shape:
    """3.5 M parameters, as deep as the budget allows: which word belongs to which object takes layers more than width."""
    return Shape(
        channels=channels,
        doubles=2,
        singles=9,
        heads=4,
        head_dim=32,
        axes=(4, 14, 14),
        text_width=text_width,
        pooled_width=pooled_width,
        guidance_embeds=False,
    )


def network(shape: Shape, *, seed: int = 0) -> Any:
    """Blocks that start as the identity and a velocity that starts at zero (adaLN-zero, DiT, arXiv 2212.09748)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net: Any = transformer(shape)
        for name, p in net.named_parameters():
            modulates = ".norm" in name or name.startswith(("norm_out", "proj_out"))
            if p.ndim > 1 and not modulates:
                nn.init.xavier_uniform_(p)
            elif p.ndim > 1 or name.endswith("bias"):
                nn.init.zeros_(p)
    return net


def turn(step: int, *, size: int, pool: int, reuse: int) -> tuple[int, Tensor]:
    """(pool, rows of it) of a step: every pool of scenes is gone through `reuse` times, each time in another order."""
    lap, place = divmod(step, pool // size)
    order = torch.randperm(pool, generator=torch.Generator().manual_seed(lap))
    return lap // reuse, order[place * size : (place + 1) * size]


@dataclass(frozen=True)
class Pool:
    """Scenes ready to learn from: tokens (N, L, C), hidden states (N, T, W), pooled text (N, P)."""

    number: int
    tokens: Tensor
    hidden: Tensor
    pooled: Tensor


class FlowTask:
    """Mean squared error of the velocity.

    Scenes are rendered and encoded `pool` at a time and each is learnt from `reuse` times, with other noise and times.
    """

    def __init__(
        self,
        *,
        text: str | TextTower = "shipped:clip_mini",
        vae: str | FluxVae = "flux_vae",
        pool: int = 16384,
        reuse: int = 4,
        true_cfg: Sequence[float] = (1.0, 2.0, 3.0),
        shape: Shape | None = None,
        resolution: int = flux_vae.RESOLUTION,
        kernels: Sequence[str] = ("flash_attention", "math"),
    ) -> None:
        self.text = text_tower(resolve(text)) if isinstance(text, str) else text
        self.vae = cast(FluxVae, restore(vae, flux_vae.network())) if isinstance(vae, str) else vae.requires_grad_(False)
        self.pool_size, self.reuse, self.true_cfg, self.resolution = pool, reuse, tuple(true_cfg), resolution
        self.side = resolution // self.vae.factor // 2
        text_width, pooled_width = self.text.text_projection.shape
        self.net = network(shape or mini(channels=4 * len(self.vae.shift), text_width=text_width, pooled_width=pooled_width))
        self.encode = self.vae.encode
        self.kernels = [getattr(SDPBackend, name.upper()) for name in kernels]
        self.pool: Pool | None = None

    def batch(self, step: int, size: int) -> Batch:
        if self.pool_size % size:
            raise BadInput(f"model.task.pool={self.pool_size} must be a multiple of recipe.batch={size}.")
        number, rows = turn(step, size=size, pool=self.pool_size, reuse=self.reuse)
        return {"pool": torch.tensor(number), "rows": rows}

    def loss(self, net: Any, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        clean, noise, t = batch["clean"], batch["noise"], batch["t"]
        x = torch.lerp(clean, noise, t.view(-1, 1, 1))
        with sdpa_kernel(self.kernels):
            found = velocity(net, x, t, batch["hidden"], batch["pooled"], rotary=(batch["cos"], batch["sin"]))
        error = F.mse_loss(found, noise - clean, reduction="none").flatten(1).mean(1)
        late = error.detach()[: len(error) // 4].mean()  # times are in order: the quarter nearest to the picture
        return error.mean(), {"velocity_late": late}

    @torch.no_grad()
    def prepare(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Tokens, text, noise, and times in rising order, one from each equal slice of their law."""
        rows, device, size = batch["rows"], batch["rows"].device, len(batch["rows"])
        number = int(batch["pool"])
        if self.pool is None or self.pool.number != number:
            self.pool = self.fill(number, device)
        clean = self.pool.tokens[rows]
        dice = torch.rand(2, size, generator=generator, device=device)
        told = torch.where(dice[1] < UNTOLD, self.pool_size, rows)  # the last row is the empty caption
        cos, sin = self.rotary
        return {
            "clean": clean,
            "noise": torch.randn(clean.shape, generator=generator, device=device),
            "t": times_law((torch.arange(size, device=device) + dice[0]) / size, tokens=clean.shape[1]),
            "hidden": self.pool.hidden[told],
            "pooled": self.pool.pooled[told],
            "cos": cos.to(device),
            "sin": sin.to(device),
        }

    @cached_property
    def rotary(self) -> tuple[Tensor, Tensor]:
        """Rotations of text and image positions, the same in every step."""
        text = self.text.positional_embedding.shape[0]
        return self.net.pos_embed(torch.cat([torch.zeros(text, 3), position_ids(self.side, self.side)]))

    def fill(self, number: int, device: torch.device) -> Pool:
        """Draw, encode and read a pool of train scenes; behind its texts comes the empty one."""
        self.text.to(device)
        self.vae.to(device)
        if device.type == "cuda" and self.pool is None:
            self.encode = torch.compile(self.vae.encode, dynamic=False)
        tokens, texts = [], []
        index = torch.arange(number * self.pool_size, (number + 1) * self.pool_size, device=device)
        for part in index.split(CHUNK):
            scenes = world.captioned("train", part)
            tokens.append(self.encode(render(scenes, resolution=self.resolution) * 2 - 1).float())
            with torch.autocast(device.type, enabled=False):
                texts.append(self.text(caption_tokens(scenes)))
        with torch.autocast(device.type, enabled=False):
            texts.append(embed(self.text, [""]))
        hidden, pooled = (torch.cat(parts) for parts in zip(*texts, strict=True))
        return Pool(number, torch.cat(tokens), hidden, pooled)

    def measure(self, net: Any, device: torch.device, *, count: int = 512) -> dict[str, float]:
        """Share of stated attributes of test captions that the judge reads in the pictures, beside that of real ones."""
        self.pool = None
        return quality(
            net, self.text, self.vae, resolution=self.resolution, count=count, guidances=self.true_cfg, device=device
        )

    def sheet(self, net: Any, device: torch.device) -> Sheet:
        """Test captions: the real picture, its reconstruction, and what the flow paints in many and in few steps."""
        self.text.to(device)
        self.vae.to(device)
        scenes = world.captioned("test", torch.arange(COLUMNS, device=device))
        real, side = render(scenes, resolution=self.resolution), {"height": self.resolution, "width": self.resolution}
        rows = {"real": real, "reconstructed": self.vae.roundtrip(real * 2 - 1)}
        seeds, cfg = sample_seeds(0, range(COLUMNS)).to(device), self.true_cfg[1]
        for steps in (50, 10, 5):
            rows[f"{steps} steps, cfg {cfg:g}"] = paint(net, self.text, self.vae, scenes, seeds, steps=steps, cfg=cfg, **side)
        return Sheet(captions(scenes), rows)


def times_law(u: Tensor, *, tokens: int) -> Tensor:
    """Times from their quantiles u in (0, 1): normal logits around the schedule's shift."""
    return torch.sigmoid(shift_mu(tokens) + SPREAD * torch.special.ndtri(u.clamp(1e-5, 1 - 1e-5)))


def velocity(net: Any, x: Tensor, t: Tensor, hidden: Tensor, pooled: Tensor, *, rotary: tuple[Tensor, Tensor]) -> Tensor:
    """diffusers' forward, with times and the residual stream in float32 where autocast would round them to bfloat16."""
    temb = net.time_text_embed(1000 * t, pooled)
    image, text = net.x_embedder(x).float(), net.context_embedder(hidden).float()
    for block in (*net.transformer_blocks, *net.single_transformer_blocks):
        text, image = block(hidden_states=image, encoder_hidden_states=text, temb=temb, image_rotary_emb=rotary)
    return net.proj_out(net.norm_out(image, temb)).float()
