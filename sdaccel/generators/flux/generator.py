"""FLUX: text to image by a flow transformer, diffusers' own class at any size.

Without files the weights are random, and unless `vae_widths` says otherwise a token is a 2 x 2 patch of RGB, so that
everything the real model's loop does can be tried with nothing but the transformer.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sdaccel.conditions import Condition
from sdaccel.errors import BadInput
from sdaccel.generators.base import Cost, torch_dtype
from sdaccel.generators.flux import checks, weights
from sdaccel.generators.flux.cost import price, price_of_reading
from sdaccel.generators.flux.model import Shape, transformer
from sdaccel.generators.flux.packing import PATCH, position_ids
from sdaccel.generators.flux.runtime import FluxRuntime, Reader, random_init
from sdaccel.generators.flux.schedule import times
from sdaccel.generators.flux.solvers import EULER, solver
from sdaccel.generators.flux.vae import GROUPS, FluxVae
from sdaccel.generators.text import hashed_embeddings, text_files, text_tower
from sdaccel.registry import configurable, later
from sdaccel.shipped import resolve, sha256
from sdaccel.world.captions import encode

WEIGHTLESS = ("num_steps", "solver", "evaluations", "guidance", "engine")
"""Options that the weights do not depend on."""


@configurable(group="generator", name="flux")
@dataclass(frozen=True)
class Flux:
    """A FluxTransformer2DModel of any size, with trained or random weights."""

    doubles: int = 2
    """Double-stream blocks."""
    singles: int = 3
    """Single-stream blocks."""
    heads: int = 2
    head_dim: int = 16
    """Width of one head."""
    axes: list[int] | None = None
    """Channels of a head that rotate with text order, row and column; None: 1/4, 1/4 and 1/2."""
    text_tokens: int = 8
    text_width: int = 32
    pooled_width: int | None = None
    """Width of the pooled text; None: text_width."""
    height: int = 32
    """Pixels; a multiple of 2, or of 2 cells of the latents."""
    width: int = 32
    vae_widths: list[int] | None = None
    """Widths of the autoencoder's levels, each after the first halves the picture; None: no autoencoder, tokens of pixels."""
    latent_channels: int = 4
    """Channels of its latents."""
    num_steps: int = 50
    """Denoising steps."""
    solver: str = later(EULER)
    """What follows the flow over these steps: euler, ab2, dpmpp_2m, unipc, or heun, which evaluates the model twice a step."""
    evaluations: int | None = later(None)
    """In place of num_steps: as many steps as so many evaluations of the model pay for."""
    guidance: float = 3.5
    """Distilled guidance, an input of the model."""
    guidance_embeds: bool = True
    """The model has that input."""
    true_cfg: float = 1.0
    """Classifier-free guidance: 1 is off, more computes every step also for negative_prompt, in one doubled batch."""
    negative_prompt: str = ""
    """What true_cfg leads away from."""
    weights: str | None = None
    """Transformer, .safetensors or shipped:NAME; None draws random weights from init_seed."""
    vae_weights: str | None = None
    """Autoencoder with its shift and scale; all three files are given or none."""
    text_weights: str | None = None
    """open_clip folder over the words of the small world, or shipped:clip_mini; None: prompts are hashed."""
    init_seed: int = 0
    """Seed of the random weights."""
    dtype: str = "float32"
    """Number format of weights and activations; latents are never below float32."""
    engine: str = "eager"
    """How blocks run: eager, or compiled, each kind of block as one graph with the features among its outputs."""

    takes: ClassVar[str] = "prompt"
    seam: ClassVar[str] = "denoise"
    keeps: ClassVar[Sequence[str]] = ("latents",)
    norm_groups: ClassVar[int] = GROUPS
    """Groups of the autoencoder's norms."""

    @property
    def refuses_operators(self) -> str | None:
        """Why no backend's operators can take the place of its own, and the fix."""
        if self.engine == "eager":
            return None
        return (
            f"generator.engine={self.engine} compiles blocks whole and cannot hold operators that remember; write "
            "generator.engine=eager"
        )

    @property
    def of_world(self) -> bool:
        """It reads the words of the small world alone."""
        return self.text_weights is not None

    @property
    def few_steps(self) -> bool:
        """It was distilled to take few steps of its own."""
        return False

    @property
    def grid_steps(self) -> int:
        """Steps of the solver."""
        return self.num_steps if self.evaluations is None else solver(self.solver).steps(self.evaluations)

    @property
    def steps(self) -> int:
        """Evaluations of the model: what strategies see as steps, and what an image costs."""
        return solver(self.solver).evaluations(self.grid_steps)

    @property
    def pace(self) -> str:
        """What a plan has to say of a solver."""
        budget = "" if self.evaluations in (None, self.steps) else f" for at most {self.evaluations} evaluations"
        return "" if self.solver == EULER else f"{self.grid_steps} steps of {self.solver}{budget}"

    @property
    def cell(self) -> int:
        """Pixels of a token's side."""
        return PATCH * 2 ** (len(self.vae_widths) - 1 if self.vae_widths else 0)

    @property
    def tokens(self) -> int:
        return (self.height // self.cell) * (self.width // self.cell)

    @property
    def channels(self) -> int:
        """Numbers of one token."""
        return (self.latent_channels if self.vae_widths else 3) * PATCH**2

    @property
    def grid(self) -> list[float]:
        """The schedule: where every step of the solver begins, and the last one ends."""
        return times(self.grid_steps, tokens=self.tokens)

    @property
    def times(self) -> list[float]:
        """Where the model is evaluated, and the end."""
        return solver(self.solver).times(self.grid)

    @property
    def branches(self) -> int:
        """Rows that the transformer computes for one image."""
        return 1 if self.true_cfg == 1 else 2

    @property
    def shape(self) -> Shape:
        quarter = self.head_dim // 4
        return Shape(
            channels=self.channels,
            doubles=self.doubles,
            singles=self.singles,
            heads=self.heads,
            head_dim=self.head_dim,
            axes=self.axes or (quarter, quarter, self.head_dim - 2 * quarter),
            text_width=self.text_width,
            pooled_width=self.pooled_width or self.text_width,
            guidance_embeds=self.guidance_embeds,
        )

    def check(self, conditions: Sequence[Condition]) -> None:
        torch_dtype(self.dtype)
        if self.engine not in ("eager", "compiled"):
            raise BadInput(f"generator.engine={self.engine} is unknown; choose one of eager, compiled.")
        checks.check_sizes(self)
        self.check_files([str(condition) for condition in conditions])

    def check_files(self, prompts: Sequence[str]) -> None:
        """Raise BadInput for files that do not fit, and prompts that they cannot read."""
        if self.text_weights is not None:
            encode([*prompts, *self.negatives], length=self.text_tokens)
        checks.check_files(self)

    @property
    def negatives(self) -> list[str]:
        """What is read beside the prompts."""
        return [self.negative_prompt] if self.branches == 2 else []

    def _files(self) -> list[Path]:
        if self.weights is None or self.vae_weights is None or self.text_weights is None:
            return []
        return [resolve(self.weights), resolve(self.vae_weights), *text_files(self.text_weights)]

    def identity(self) -> dict[str, Any]:
        return {"sha256": [sha256(path) for path in self._files()]} if self._files() else {}

    def transformer(self) -> nn.Module:
        """diffusers' model, on the current default device."""
        return transformer(self.shape)

    def autoencoder(self) -> FluxVae:
        """The autoencoder, on the current default device."""
        return FluxVae(channels=self.latent_channels, widths=self.vae_widths or ())

    def reading(self) -> tuple[float, list[nn.Module]]:
        """MACs that an image needs for its text, and what reads it, on the meta device."""
        return price_of_reading(self)

    def cost(self) -> Cost:
        return price(self)

    def sharing(self, other: Any, runtime: FluxRuntime) -> FluxRuntime | None:
        if type(other) is not type(self) or replace(other, **{name: getattr(self, name) for name in WEIGHTLESS}) != self:
            return None
        own = copy(runtime)  # the same modules under other options
        own.config = self
        return own

    def build(self, device: torch.device) -> FluxRuntime:
        dtype = torch_dtype(self.dtype)
        if self.weights is None or self.vae_weights is None or self.text_weights is None:
            with torch.device("meta"):  # 12 billion weights are drawn where they stay, once
                model = nn.Module.to(self.transformer(), dtype)
            model.to_empty(device=device)
            random_init(model, seed=self.init_seed)
            vae = self.autoencoder() if self.vae_widths else None
            if vae is not None:
                random_init(vae.vae, seed=self.init_seed)
            return FluxRuntime(self, model, vae=vae).to(device, dtype).eval()
        trained = partial(weights.load_trained, device=device, dtype=dtype)
        return FluxRuntime(
            self,
            trained(weights.TRANSFORMER, self.weights, self.transformer),
            vae=trained(weights.VAE, self.vae_weights, self.autoencoder),
            reader=text_tower(resolve(self.text_weights)).to(device, dtype),
        ).eval()

    def _inputs(self, prompts: Sequence[str], reader: Reader | None = None) -> dict[str, Tensor]:
        """Everything but latents and time that the transformer takes; under true_cfg for every prompt and once more untold."""
        rows = [*prompts, *self.negatives * len(prompts)]
        shape = self.shape
        if reader is None:
            hidden, pooled = hashed_embeddings(rows, tokens=self.text_tokens, width=shape.text_width, pooled=shape.pooled_width)
        else:
            hidden, pooled = reader.read(rows)
        inputs = {
            "encoder_hidden_states": hidden,
            "pooled_projections": pooled,
            "img_ids": position_ids(self.height // self.cell, self.width // self.cell),
            "txt_ids": torch.zeros(self.text_tokens, 3),
        }
        return inputs | ({"guidance": torch.full((len(rows),), self.guidance)} if self.guidance_embeds else {})
