"""HART as a generator: prompts to images, with official files, trained ones of any size or random weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch

from sdaccel.conditions import Condition
from sdaccel.generators.base import Cost, torch_dtype
from sdaccel.generators.hart import checks, cost, init, text, weights
from sdaccel.generators.hart.model import HART, PATCH_NUMS, Geometry
from sdaccel.generators.hart.runtime import HartRuntime
from sdaccel.generators.hart.sampler import stale_guidance
from sdaccel.generators.nextscale.init import unit_scale
from sdaccel.generators.nextscale.layout import Layout
from sdaccel.generators.nextscale.tokenizer.autoencoder import MULT
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE
from sdaccel.generators.nextscale.tokens import Sampling
from sdaccel.generators.nextscale.weights import materialise
from sdaccel.generators.published import Source, fingerprint
from sdaccel.registry import configurable

WEIGHTLESS = ("cfg", "more_smooth", "residual", "head_steps")
"""Options that the weights do not depend on."""


@configurable(group="generator", name="hart")
@dataclass(frozen=True, kw_only=True)
class Hart:
    """A HART of any size. Without files the weights are random and prompts are hashed: fit for timing and tests."""

    depth: int = 24
    """Blocks."""
    embed_dim: int = 1536
    heads: int = 24
    hidden: int = 4096
    """Width of the feed-forward."""
    patch_nums: list[int] = field(default_factory=lambda: list(PATCH_NUMS))
    """Sides of the scales."""
    context_tokens: int = 300
    """Text tokens: the rows of the first scale."""
    context_width: int = 1536
    """Width of the text encoder's states."""
    vocab: int = 4096
    Cvae: int = 32
    """Channels of a code."""
    ch: int = 160
    """Base channels of the tokenizer, a multiple of 32."""
    ch_mult: list[int] = field(default_factory=lambda: list(MULT))
    """Widths of the tokenizer's levels as multiples of ch; every level after the first halves the image."""
    image_size: int = 1024
    """Pixels of a side; officially 16 per cell of the last scale."""
    head_width: int = 1024
    """Of the residual head."""
    head_depth: int = 6
    head_steps: int = 8
    """Denoising steps of the residual head."""
    residual: bool = True
    """Add the residual head's share to the codes of the last scale; False paints the codes alone."""
    cfg: float = 4.5
    """Guidance; it grows linearly from 0 at the first scale and stays at the last one what it was before."""
    more_smooth: bool = False
    """Paint with a Gumbel-softmax mix of codes instead of the sampled one, as official samples are: prettier, not for FID."""
    weights: str | None = None
    """Folder with llm/ and tokenizer/, mit-han-lab/hart-0.7b-1024px in the hub's cache, a file of the transformer or
    shipped:NAME; None draws random weights from init_seed."""
    vae_weights: str | None = None
    """The same for the tokenizer; None: in the folder of `weights`."""
    text_weights: str | None = None
    """Folder of the published text encoder, or an open_clip folder over the words of the small world such as
    shipped:clip_mini; None: prompts are hashed."""
    ema: bool = True
    """Of a folder, take the average of training's weights where there is one."""
    init_seed: int = 0
    """Seed of the random weights."""
    dtype: str = "float32"
    """Number format of weights, keys and values; residual stream, f_hat, guidance and sampling are never below float32."""
    engine: str = "eager"
    """eager: the reference, operator by operator; autocast: float32 weights under autocast, as the official code runs."""

    takes: ClassVar[str] = "prompt"
    seam: ClassVar[str] = "scales"
    keeps: ClassVar[Sequence[str]] = ("tokens", "f_hat")
    """Ids (B, L); the canvas after every scale (B, K, Cvae, p_K, p_K)."""

    @property
    def height(self) -> int:
        return self.image_size

    @property
    def width(self) -> int:
        return self.image_size

    @property
    def of_world(self) -> bool:
        """It reads the words of the small world alone."""
        return text.of_world(self.text_weights)

    @property
    def steps(self) -> int:
        return len(self.patch_nums)

    @property
    def scales(self) -> tuple[int, ...]:
        """Sides of the scales."""
        return tuple(self.patch_nums)

    @property
    def geometry(self) -> Geometry:
        sizes = {name: getattr(self, name) for name in (*checks.SIZES, "vocab", "Cvae")}
        return Geometry(patch_nums=self.scales, **sizes)

    @property
    def layout(self) -> Layout:
        return self.geometry.layout

    @property
    def sampling(self) -> Sampling:
        return stale_guidance(scales=self.steps, vocab=self.vocab, cfg=self.cfg, more_smooth=self.more_smooth)

    @property
    def weight_dtype(self) -> torch.dtype:
        """Format the weights are held in."""
        return torch.float32 if self.engine == "autocast" else torch_dtype(self.dtype)

    @property
    def refuses_parted_rows(self) -> str | None:
        """Why samples of a batch cannot stand at different scales, and the fix."""
        if self.engine != "autocast":
            return None
        return "generator.engine=autocast holds the same tokens of every row; set generator.engine=eager"

    def check(self, conditions: Sequence[Condition]) -> None:
        checks.check_options(self)
        checks.check_given(self)
        if self.weights is not None:
            transformer, tokenizer = self._sources()
            weights.check_transformer(transformer, self.geometry, ema=self.ema)
            weights.check_tokenizer(tokenizer, self.models_without_storage()[1])
        text.check_text(self.text_weights, self._prompts(conditions), tokens=self.context_tokens, width=self.context_width)

    def notes(self, conditions: Sequence[Condition]) -> list[str]:
        return text.text_notes(self.text_weights, self._prompts(conditions), tokens=self.context_tokens)

    def _prompts(self, conditions: Sequence[Condition]) -> list[str]:
        return [str(condition) for condition in conditions]

    def _sources(self) -> tuple[Source, Source]:
        """Where transformer and tokenizer are; the tokenizer comes with a folder."""
        return weights.sources(str(self.weights), self.vae_weights)

    def identity(self) -> dict[str, Any]:
        if self.weights is None:
            return {}
        transformer, tokenizer = self._sources()
        files = [weights.transformer_path(transformer, ema=self.ema), weights.vae_path(tokenizer)]
        return {"sha256": [*map(fingerprint, files), *text.text_identity(self.text_weights)]}

    def beside(self, target: "Hart") -> "Hart":
        """This model as it runs beside a target for the same image: sampled, held and computed like it."""
        return replace(self, **{name: getattr(target, name) for name in (*WEIGHTLESS, "dtype", "engine")})

    def agrees(self) -> Mapping[str, tuple[Any, str]]:
        """Options in which a model beside it must be equal, and why."""
        same = "both are told by the same text"
        return {
            "patch_nums": (list(self.patch_nums), "both must paint the same scales"),
            "vocab": (self.vocab, "a token must mean the same to both"),
            "context_tokens": (self.context_tokens, same),
            "context_width": (self.context_width, same),
            "text_weights": (self.text_weights, same),
        }

    def tokenizer(self) -> dict[str, Any]:
        """What decides the meaning of a token: equal tokenizers paint equal canvases."""
        options: dict[str, Any] = {name: getattr(self, name) for name in ("ch", "ch_mult", "Cvae", "vocab")}
        if self.weights is None:
            return options | {"init_seed": self.init_seed}
        return options | {"sha256": fingerprint(weights.vae_path(self._sources()[1]))}

    def cost(self) -> Cost:
        return cost.price(self)

    def models_without_storage(self) -> tuple[HART, VQVAE]:
        """Both models on the meta device."""
        with torch.device("meta"):
            vae = VQVAE(ch=self.ch, vocab=self.vocab, Cvae=self.Cvae, scales=self.steps, mult=self.ch_mult)
            return HART(self.geometry), vae

    def sharing(self, other: Any, runtime: HartRuntime) -> HartRuntime | None:
        if type(other) is not type(self) or replace(other, **{name: getattr(self, name) for name in WEIGHTLESS}) != self:
            return None
        return HartRuntime(self, runtime.hart, runtime.vae, runtime.reader)

    def build(self, device: torch.device) -> HartRuntime:
        dtype = self.weight_dtype
        hart, vae = self.models_without_storage()
        if self.weights is not None:
            transformer, tokenizer = self._sources()
            hart = weights.load_transformer(transformer, self.geometry, ema=self.ema, device=device, dtype=dtype)
            vae = weights.load_tokenizer(tokenizer, vae, device=device, dtype=dtype)
        else:
            for model, made in ((hart, init.random), (vae, unit_scale)):
                shapes = {name: p.shape for name, p in model.named_parameters()}
                materialise(model, made(shapes, seed=self.init_seed), device=device, dtype=dtype)
        reader = text.make_reader(
            self.text_weights,
            tokens=self.context_tokens,
            width=self.context_width,
            device=device,
            dtype=torch_dtype(self.dtype),
        )
        return HartRuntime(self, hart, vae, reader)
