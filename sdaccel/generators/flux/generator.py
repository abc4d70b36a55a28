"""FLUX: text to image by a flow transformer. First cut: diffusers' transformer with random weights in pixel space.

A packed token is a 2 x 2 patch of RGB, so no VAE is needed and everything the real model's loop does can be tried here.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from sdaccel.conditions import Batch, Condition
from sdaccel.errors import BadInput
from sdaccel.generators.base import Cost, Generation, torch_dtype
from sdaccel.generators.flux.denoise import denoise
from sdaccel.generators.flux.schedule import times
from sdaccel.generators.flux.seam import FluxSeam
from sdaccel.generators.flux.text import hashed_embeddings
from sdaccel.noise import Stream, normal
from sdaccel.registry import configurable

PATCH = 2
"""Side of a packed patch of latents."""


@configurable(group="generator", name="flux")
@dataclass(frozen=True)
class Flux:
    """A FluxTransformer2DModel of any size with random weights."""

    doubles: int = 2
    """Double-stream blocks."""
    singles: int = 3
    """Single-stream blocks."""
    heads: int = 2
    head_dim: int = 16
    """Width of one head; the three rope axes share it as 1/4, 1/4 and 1/2."""
    text_tokens: int = 8
    text_width: int = 32
    height: int = 32
    """Pixels; a multiple of 2."""
    width: int = 32
    num_steps: int = 50
    """Denoising steps."""
    guidance: float = 3.5
    """Distilled guidance, an input of the model."""
    init_seed: int = 0
    """Seed of the random weights."""
    dtype: str = "float32"
    """Number format of weights and activations; latents are never below float32."""

    @property
    def takes(self) -> str:
        return "prompt"

    @property
    def seam(self) -> str:
        return "denoise"

    @property
    def keeps(self) -> Sequence[str]:
        return ("latents",)

    @property
    def steps(self) -> int:
        return self.num_steps

    @property
    def tokens(self) -> int:
        return (self.height // PATCH) * (self.width // PATCH)

    def check(self, conditions: Sequence[Condition]) -> None:
        torch_dtype(self.dtype)
        sizes = "doubles", "singles", "heads", "text_tokens", "text_width", "num_steps"
        for name, value in [(name, getattr(self, name)) for name in sizes]:
            if value < 1:
                raise BadInput(f"generator.{name}={value} must be at least 1.")
        for name, value in (("height", self.height), ("width", self.width)):
            if value < PATCH or value % PATCH:
                raise BadInput(f"generator.{name}={value} must be a positive multiple of {PATCH}, one packed patch.")
        if not math.isfinite(self.guidance):
            raise BadInput(f"generator.guidance={self.guidance} must be a finite number.")
        if self.head_dim % 8:
            raise BadInput(f"generator.head_dim={self.head_dim} must be a multiple of 8: rope splits it into three even axes.")

    def identity(self) -> dict[str, Any]:
        return {}

    def transformer(self) -> nn.Module:
        """diffusers' model, on the current default device."""
        import sdaccel.torchvision_guard  # noqa: F401, I001  (before diffusers)
        from diffusers import FluxTransformer2DModel

        quarter = self.head_dim // 4
        model: Any = FluxTransformer2DModel(
            patch_size=1,
            in_channels=3 * PATCH**2,
            num_layers=self.doubles,
            num_single_layers=self.singles,
            attention_head_dim=self.head_dim,
            num_attention_heads=self.heads,
            joint_attention_dim=self.text_width,
            pooled_projection_dim=self.text_width,
            guidance_embeds=True,
            axes_dims_rope=(quarter, quarter, self.head_dim - 2 * quarter),
        )
        return model

    def cost(self) -> Cost:
        from sdaccel.measure.macs import forward_macs, operator_calls

        with torch.device("meta"):
            model = self.transformer()
            seam = FluxSeam(model, inputs=self._inputs([""]), times=[1.0, 0.0], dtype=torch.float32)
            step = partial(seam.full, 0, torch.empty(1, self.tokens, 3 * PATCH**2))
            macs, calls = forward_macs(step), operator_calls(step)
        size = torch_dtype(self.dtype).itemsize
        width, length = self.heads * self.head_dim, self.tokens + self.text_tokens
        return Cost(
            macs=[macs] * self.num_steps,
            decode_macs=0.0,
            weight_bytes=size * sum(p.numel() for p in model.parameters()),
            state_bytes=size * length * width * 16,  # residual, qkv and the MLP's hidden layer alive at once
            image_bytes=3 * self.height * self.width,
            calls=calls,
            feature_bytes=size * self.tokens * width * (2 * self.doubles + self.singles),
        )

    def build(self, device: torch.device) -> "FluxRuntime":
        model = self.transformer()
        random_init(model, seed=self.init_seed)
        return FluxRuntime(self, nn.Module.to(model, device, torch_dtype(self.dtype)).eval())

    def _inputs(self, prompts: Sequence[str]) -> dict[str, Tensor]:
        """Everything but latents and time that the transformer takes."""
        hidden, pooled = hashed_embeddings(prompts, tokens=self.text_tokens, width=self.text_width, pooled=self.text_width)
        rows, columns = self.height // PATCH, self.width // PATCH
        grid = torch.cartesian_prod(torch.arange(rows), torch.arange(columns))
        return {
            "encoder_hidden_states": hidden,
            "pooled_projections": pooled,
            "guidance": torch.full((len(prompts),), self.guidance),
            "img_ids": torch.cat([torch.zeros(len(grid), 1), grid], 1),
            "txt_ids": torch.zeros(self.text_tokens, 3),
        }


def random_init(model: nn.Module, *, seed: int) -> None:
    """Gaussian weights that keep a layer's scale, small biases, unit norms, from a generator of their own."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim > 1:
                p.normal_(0, p[0].numel() ** -0.5, generator=generator)
            elif name.endswith("bias"):
                p.normal_(0, 0.02, generator=generator)
            else:
                p.fill_(1)


def unpack(x: Tensor, *, height: int, width: int) -> Tensor:
    """(B, L, 3 * 4) packed patches to (B, 3, H, W) in [0, 1]."""
    rows, columns = height // PATCH, width // PATCH
    image = x.view(len(x), rows, columns, 3, PATCH, PATCH).permute(0, 3, 1, 4, 2, 5).reshape(len(x), 3, height, width)
    return (image / 2 + 0.5).clamp(0, 1)


class FluxRuntime(nn.Module):
    """The built model. Everything that belongs to one generation lives in `generate`."""

    def __init__(self, config: Flux, transformer: nn.Module) -> None:
        super().__init__()
        self.config = config
        self.transformer = transformer

    @torch.inference_mode()
    def generate(self, batch: Batch, *, backend: Any, strategy: Any, keep: Collection[str] = ()) -> Generation:
        config, dtype = self.config, torch_dtype(self.config.dtype)
        device = next(self.transformer.parameters()).device
        inputs = {name: value.to(device) for name, value in config._inputs([str(c) for c in batch.conditions]).items()}
        for name in ("encoder_hidden_states", "pooled_projections"):
            inputs[name] = inputs[name].to(dtype)
        seam = FluxSeam(self.transformer, inputs=inputs, times=times(config.num_steps, tokens=config.tokens), dtype=dtype)
        x = normal(batch.seeds.to(device), Stream.LATENT, (config.tokens, 3 * PATCH**2)).to(seam.wide)
        latents = [x]
        with backend.attached(self.transformer):
            rule = strategy.start(seam, steps=config.num_steps)
            x, kinds = denoise(seam, x, rule=rule, seen=latents.append if "latents" in keep else lambda x: None)
        arrays = {"latents": torch.stack(latents, 1)} if "latents" in keep else {}
        arrays |= getattr(rule, "arrays", dict)()
        return Generation(unpack(x.float(), height=config.height, width=config.width), kinds, arrays)
