"""FLUX.1-dev and FLUX.1-schnell: the published sizes, with the published files or random weights."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from sdaccel.conditions import Condition
from sdaccel.errors import BadInput
from sdaccel.generators.base import torch_dtype
from sdaccel.generators.flux.generator import Flux
from sdaccel.generators.flux.official import encoders
from sdaccel.generators.flux.official.encoders import Encoders
from sdaccel.generators.flux.official.parts import Part, autoencoder_part, transformer_part
from sdaccel.generators.flux.runtime import FluxRuntime
from sdaccel.generators.flux.schedule import times
from sdaccel.generators.flux.vae import FluxVae
from sdaccel.generators.kept_text import PromptReader, made_by
from sdaccel.generators.published import Settings, Source, check_settings, fingerprint, locate
from sdaccel.registry import configurable

LAYERS, GROUPS = 2, 32
"""The published autoencoder, beside its widths."""
SHIFT, SCALE = 0.1159, 0.3611
"""What makes its latents unit normal."""


@configurable(group="generator", name="flux_official")
@dataclass(frozen=True)
class OfficialFlux(Flux):
    """FLUX.1. Without files the weights are random and prompts are hashed: fit for timing and tests, not for pictures."""

    doubles: int = 19
    singles: int = 38
    heads: int = 24
    head_dim: int = 128
    axes: list[int] | None = field(default_factory=lambda: [16, 56, 56])
    text_tokens: int = 512
    """Length that T5's hidden states are padded to."""
    text_width: int = 4096
    pooled_width: int | None = 768
    height: int = 1024
    """Pixels; a multiple of 16."""
    width: int = 1024
    vae_widths: list[int] | None = field(default_factory=lambda: [128, 256, 512, 512])
    latent_channels: int = 16
    shifted: bool = True
    """The schedule is shifted by the number of image tokens; few-step models take even steps."""
    weights: str | None = None
    """Folder in diffusers' layout, repository in the hub's cache, or the single file flux1-*.safetensors; None: random."""
    vae_weights: str | None = None
    """The same for the autoencoder, or ae.safetensors; None: where `weights` is."""
    text_weights: str | None = None
    """The same for text encoders and tokenizers; None: where `weights` is."""
    dtype: str = "bfloat16"

    norm_groups: ClassVar[int] = GROUPS

    @property
    def of_world(self) -> bool:
        return False

    @property
    def few_steps(self) -> bool:
        return not self.shifted

    @property
    def grid(self) -> list[float]:
        return times(self.grid_steps, tokens=self.tokens, shifted=self.shifted)

    @property
    def variant(self) -> str:
        """What distinguishes the two in the names of files."""
        return "dev" if self.guidance_embeds else "schnell"

    def check_files(self, prompts: Sequence[str]) -> None:
        if self.weights is None:
            for name in ("vae_weights", "text_weights"):
                if getattr(self, name) is not None:
                    raise BadInput(
                        f"generator.weights is not given but generator.{name} is; a trained and a random half make noise, so "
                        "give the transformer too, or neither."
                    )
            return
        if self.vae_widths is None:
            raise BadInput("generator.vae_widths is not given but weights are; list the widths of the autoencoder's levels.")
        self._check_schedule(self._source("weights"))
        for part in self._parts():
            part.check()
        self._check_text(prompts)

    def _check_text(self, prompts: Sequence[str]) -> None:
        source, shape = self._source("text_weights"), self.shape
        encoders.check_encoders(
            source, [*prompts, *self.negatives], tokens=self.text_tokens, width=shape.text_width, pooled=shape.pooled_width
        )

    def _check_schedule(self, source: Source) -> None:
        """A folder says which schedule its model was trained for."""
        name, fix = "scheduler/scheduler_config.json", "choose generator=flux_dev or flux_schnell to fit the folder"
        if (source.path / name).is_file():
            shift = {"base_shift": 0.5, "max_shift": 1.15} if self.shifted else {"shift": 1.0}
            values = {"use_dynamic_shifting": self.shifted, **shift}
            check_settings(source, name, {key: (value, fix) for key, value in values.items()})

    def _source(self, option: str) -> Source:
        """Where the files of an option are; autoencoder and text come with a folder."""
        repository, value = f"black-forest-labs/FLUX.1-{self.variant}", getattr(self, option) or self.weights
        source = locate(f"generator.{option}", str(value), repository=repository)
        if option != "weights" and source.path.is_file() and getattr(self, option) is None:
            raise BadInput(
                f"generator.{option} is not given and generator.weights={value} is a file of the transformer alone; give a "
                f"folder with the files of huggingface.co/{repository}."
            )
        return source

    def _parts(self) -> tuple[Part, Part]:
        """Transformer and autoencoder on disk."""
        with torch.device("meta"):
            model, vae = self.transformer(), self.autoencoder().vae
        of_transformer, of_vae = self._settings()
        first = transformer_part(
            self._source("weights"), model, settings=of_transformer, single_file=f"flux1-{self.variant}.safetensors"
        )
        return first, autoencoder_part(self._source("vae_weights"), vae, settings=of_vae)

    def _settings(self) -> tuple[Settings, Settings]:
        """What the folders' config.json must say: sizes, and what leaves no trace in names and shapes."""
        shape, fixed = self.shape, "it is another model than FLUX.1"
        of_transformer = {
            "guidance_embeds": (shape.guidance_embeds, "choose generator=flux_dev or flux_schnell to fit the folder"),
            "num_layers": (shape.doubles, "set generator.doubles"),
            "num_single_layers": (shape.singles, "set generator.singles"),
            "num_attention_heads": (shape.heads, "set generator.heads"),
            "attention_head_dim": (shape.head_dim, "set generator.head_dim"),
            "axes_dims_rope": (list(shape.axes), "set generator.axes"),
            "patch_size": (1, fixed),
        }
        of_vae = {
            "block_out_channels": (self.vae_widths, "set generator.vae_widths"),
            "latent_channels": (self.latent_channels, "set generator.latent_channels"),
            "layers_per_block": (LAYERS, fixed),
            "norm_num_groups": (GROUPS, fixed),
            "act_fn": ("silu", fixed),
            "shift_factor": (SHIFT, fixed),
            "scaling_factor": (SCALE, fixed),
        }
        return of_transformer, of_vae

    def _text_identity(self) -> list[str]:
        return [fingerprint(file) for file in encoders.files(self._source("text_weights"))]

    def identity(self) -> dict[str, Any]:
        if self.weights is None:
            return {}
        models = [fingerprint(file) for part in self._parts() for file in part.files]
        return {"sha256": models + self._text_identity()}

    def autoencoder(self) -> FluxVae:
        return FluxVae(
            channels=self.latent_channels,
            widths=self.vae_widths or (),
            layers=LAYERS,
            groups=GROUPS,
            attention=True,
            shift=SHIFT,
            scale=SCALE,
        )

    def reading(self) -> tuple[float, list[nn.Module]]:
        """The encoders weigh, but an image costs no reading: embeddings are kept."""
        made = encoders.meta_encoders(self._source("text_weights")).values() if self.weights else ()
        return 0.0, list(made)

    def build(self, device: torch.device) -> FluxRuntime:
        if self.weights is None:
            return super().build(device)
        dtype = torch_dtype(self.dtype)
        with torch.device("meta"):
            model = self.transformer()
        vae = self.autoencoder()
        for part, into in zip(self._parts(), (model, vae.vae), strict=True):
            part.into(into, device=device, dtype=dtype)
        return OfficialRuntime(self, model, vae=vae.to(device), reader=self._reader(device)).requires_grad_(False).eval()

    def _reader(self, device: torch.device) -> PromptReader:
        source, dtype = self._source("text_weights"), torch_dtype(self.dtype)
        return PromptReader(
            lambda: Encoders(source, tokens=self.text_tokens, device=device, dtype=dtype),
            key=[self._text_identity(), self.text_tokens, self.dtype, *made_by(encoders.__file__, device)],
        )


class OfficialRuntime(FluxRuntime):
    """FLUX.1 with its files."""

    def __init__(self, config: OfficialFlux, transformer: nn.Module, *, vae: FluxVae, reader: PromptReader) -> None:
        super().__init__(config, transformer, vae=vae, reader=reader)
        self.prompts = reader

    def prepare(self, conditions: Sequence[Condition], *, cache: Path) -> None:
        """Read every prompt of a study once, before the first picture; `cache` is a folder that may be deleted."""
        self.prompts.prepare([*map(str, conditions), *self.config.negatives], folder=cache)
