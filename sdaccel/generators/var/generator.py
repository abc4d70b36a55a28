"""VAR as a generator: class labels to images, with official files or random weights."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sdaccel.conditions import Batch, Condition
from sdaccel.errors import BadInput, at_least
from sdaccel.generators.base import Cost, Generation, torch_dtype
from sdaccel.generators.nextscale.cost import decode_macs
from sdaccel.generators.nextscale.engine import Loop, generated
from sdaccel.generators.nextscale.init import unit_scale
from sdaccel.generators.nextscale.layout import Layout, check_patch_nums
from sdaccel.generators.nextscale.tokenizer.autoencoder import MULT
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE, check_sizes
from sdaccel.generators.nextscale.tokens import Sampling
from sdaccel.generators.nextscale.weights import check_manifest, load_vae, materialise, vae_file
from sdaccel.generators.var import cost, init, weights
from sdaccel.generators.var.engine import ENGINES, make_engine
from sdaccel.generators.var.model import PATCH_NUMS, VAR, Geometry
from sdaccel.generators.var.sampler import VarModel, growing_guidance
from sdaccel.registry import configurable
from sdaccel.shipped import resolve, sha256


@configurable(group="generator", name="var")
@dataclass(frozen=True, kw_only=True)
class Var:
    """A VAR transformer with its VQVAE. Without files the weights are random: fit for timing and tests, not for pictures."""

    depth: int = 16
    """Blocks; the width is 64 x depth, the heads are as many as blocks."""
    shared_aln: bool = False
    """One adaLN for all blocks plus a table per block, as in the 512 px model."""
    num_classes: int = 1000
    vocab: int = 4096
    Cvae: int = 32
    """Channels of a code."""
    ch: int = 160
    """Base channels of the VQVAE, a multiple of 32."""
    ch_mult: list[int] = field(default_factory=lambda: list(MULT))
    """Widths of the VQVAE's levels as multiples of ch; every level after the first halves the image."""
    image_size: int = 256
    """Pixels of a side; officially 16 per cell of the last scale."""
    patch_nums: list[int] | None = None
    """Sides of the scales; None takes the official list of image_size 256 or 512."""
    weights: str | None = None
    """Transformer file, .pth or .safetensors, or shipped:NAME; None draws random weights from init_seed."""
    vae_weights: str | None = None
    """VQVAE file; given with `weights` or not at all."""
    init_seed: int = 0
    """Seed of the random weights."""
    init_unit_scale: bool = False
    """Random weights that make every label, block and code matter; False is the published start of training, where gates of
    1e-5 let the blocks do almost nothing."""
    dtype: str = "float32"
    """Number format of weights, keys and values; residual stream, f_hat, guidance and sampling are never below float32."""
    cfg: float = 1.5
    """Guidance at the last scale; it grows linearly from 0 at the first."""
    top_k: int = 900
    """Codes kept by rank; 0 keeps all."""
    top_p: float = 0.96
    """Codes kept by cumulative probability; 0 keeps all."""
    more_smooth: bool = False
    """Paint with a Gumbel-softmax mix of codes instead of the sampled one: prettier, not for FID."""
    engine: str = "eager"
    """eager: the reference, operator by operator; autocast: float32 weights under autocast, as the official code runs;
    fast: the same samples, up to rounding, by fewer and larger operations."""

    takes: ClassVar[str] = "label"
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
        """Its weights ship with the project, and so know the labels of the small world."""
        return (self.weights or "").startswith("shipped:")

    @property
    def steps(self) -> int:
        return len(self.scales)

    @property
    def scales(self) -> tuple[int, ...]:
        """Sides of the scales."""
        if self.patch_nums is not None:
            return tuple(self.patch_nums)
        if self.image_size not in PATCH_NUMS:
            raise BadInput(
                f"generator.image_size={self.image_size} has no official scales; choose {' or '.join(map(str, PATCH_NUMS))}, "
                "or give patch_nums."
            )
        return PATCH_NUMS[self.image_size]

    @property
    def geometry(self) -> Geometry:
        return Geometry(
            depth=self.depth,
            patch_nums=self.scales,
            num_classes=self.num_classes,
            vocab=self.vocab,
            Cvae=self.Cvae,
            shared_aln=self.shared_aln,
        )

    @property
    def layout(self) -> Layout:
        return self.geometry.layout

    @property
    def sampling(self) -> Sampling:
        return growing_guidance(
            scales=self.steps, cfg=self.cfg, top_k=self.top_k, top_p=self.top_p, more_smooth=self.more_smooth
        )

    @property
    def refuses_parted_rows(self) -> str | None:
        """Why samples of a batch cannot stand at different scales, and the fix."""
        if self.engine != "autocast":
            return None
        return "generator.engine=autocast holds the same tokens of every row; set generator.engine=eager or fast"

    def check(self, conditions: Sequence[Condition]) -> None:
        self._check_engine()
        self._check_sizes()
        self._check_sampling()
        for label in conditions:
            if not isinstance(label, int) or not -1 <= label < self.num_classes:
                raise BadInput(
                    f"label {label!r} is no class of this model; give integers 0 .. {self.num_classes - 1}, or -1 for the null "
                    "class."
                )
        self._check_files()

    def _check_engine(self) -> None:
        half = torch_dtype(self.dtype).itemsize == 2
        if self.engine not in ENGINES:
            raise BadInput(f"generator.engine={self.engine} is unknown; choose one of {', '.join(ENGINES)}.")
        if self.engine == "autocast" and not half:
            raise BadInput(
                f"generator.engine=autocast casts to half precision, and generator.dtype={self.dtype} is none; set "
                "generator.dtype=float16 or bfloat16."
            )

    def _check_sizes(self) -> None:
        at_least(1, self, "depth", "num_classes", where="generator")
        check_sizes(self)
        check_patch_nums(self.scales, image_size=self.image_size, factor=2 ** (len(self.ch_mult) - 1))

    def _check_sampling(self) -> None:
        if not 0 <= self.top_k <= self.vocab:
            raise BadInput(f"generator.top_k={self.top_k} is outside 0 .. {self.vocab} (the vocabulary); 0 keeps all codes.")
        if not 0 <= self.top_p <= 1:
            raise BadInput(f"generator.top_p={self.top_p} is no probability; give 0 .. 1, where 0 keeps all codes.")
        if not (math.isfinite(self.cfg) and self.cfg >= 0):
            raise BadInput(f"generator.cfg={self.cfg} must be a finite number >= 0.")

    def _files(self) -> list[Path]:
        return [resolve(option) for option in (self.weights, self.vae_weights) if option is not None]

    def _check_files(self) -> None:
        if (self.weights is None) != (self.vae_weights is None):
            missing = "vae_weights" if self.vae_weights is None else "weights"
            raise BadInput(
                f"generator.{missing} is not given but the other file is; a trained and a random half make noise, so give "
                "both files or neither."
            )
        if self.weights is not None and self.vae_weights is not None:
            weights.check_var(weights.var_file(resolve(self.weights)), self.geometry)
            check_manifest(vae_file(resolve(self.vae_weights)), self.models_without_storage()[1])

    def identity(self) -> dict[str, Any]:
        options: dict[str, Any] = {
            "model": {
                name: getattr(self, name)
                for name in ("depth", "shared_aln", "num_classes", "vocab", "Cvae", "ch", "ch_mult", "dtype")
            },
            "patch_nums": list(self.scales),
            "sampling": {name: getattr(self, name) for name in ("cfg", "top_k", "top_p", "more_smooth")},
        }
        if self.engine != "eager":
            options["engine"] = self.engine
        if self._files():
            return options | {"sha256": [sha256(path) for path in self._files()]}
        return options | {"init": {name: getattr(self, name) for name in ("init_seed", "init_unit_scale")}}

    @property
    def weight_dtype(self) -> torch.dtype:
        """Format the weights are held in."""
        return torch.float32 if self.engine == "autocast" else torch_dtype(self.dtype)

    def beside(self, target: "Var") -> "Var":
        """This model as it runs beside a target for the same image: sampled, held and computed like it."""
        shared = ("cfg", "top_k", "top_p", "more_smooth", "dtype", "engine")
        return replace(self, **{name: getattr(target, name) for name in shared})

    def agrees(self) -> Mapping[str, tuple[Any, str]]:
        """Options in which a model beside it must be equal, and why."""
        return {
            "patch_nums": (list(self.scales), "both must paint the same scales"),
            "vocab": (self.vocab, "a token must mean the same to both"),
            "num_classes": (self.num_classes, "both must know the same labels"),
        }

    def tokenizer(self) -> dict[str, Any]:
        """What decides the meaning of a token: equal tokenizers paint equal canvases."""
        options: dict[str, Any] = {name: getattr(self, name) for name in ("ch", "ch_mult", "Cvae", "vocab")}
        if self.vae_weights is not None:
            return options | {"sha256": sha256(resolve(self.vae_weights))}
        return options | {"init_seed": self.init_seed}

    def cost(self) -> Cost:
        var, vae = self.models_without_storage()
        size = self.weight_dtype.itemsize
        return Cost(
            macs=[float(cost.scale_macs(self.geometry, k)) for k in range(self.steps)],
            decode_macs=decode_macs(vae, self.layout),
            weight_bytes=size * sum(p.numel() for p in (*var.parameters(), *vae.parameters())),
            state_bytes=cost.state_bytes(self.geometry, itemsize=size, ch=self.ch, pixels=self.image_size**2),
            image_bytes=3 * self.image_size**2,
            calls=cost.scale_calls(VarModel(var, vae), engine=self.engine),
            layers=self.depth,
            scales=self.scales,
            hidden=cost.ROWS * self.geometry.width,
            sublayers=[cost.sublayer_macs(self.geometry, k) for k in range(self.steps)],
            shared_bytes=size * sum(p.numel() for p in vae.parameters()),
        )

    def models_without_storage(self) -> tuple[VAR, VQVAE]:
        """Both models on the meta device."""
        with torch.device("meta"):
            return VAR(self.geometry), VQVAE(ch=self.ch, vocab=self.vocab, Cvae=self.Cvae, scales=self.steps, mult=self.ch_mult)

    def build(self, device: torch.device) -> "VarRuntime":
        dtype = self.weight_dtype
        var, vae = self.models_without_storage()
        if self.weights is not None and self.vae_weights is not None:
            var = weights.load_var(weights.var_file(resolve(self.weights)), self.geometry, device=device, dtype=dtype)
            vae = load_vae(vae_file(resolve(self.vae_weights)), vae, device=device, dtype=dtype)
            return VarRuntime(self, var, vae)
        shapes = [{name: p.shape for name, p in model.named_parameters()} for model in (var, vae)]
        if self.init_unit_scale:
            state = unit_scale(shapes[0], seed=self.init_seed)
        else:
            state = init.published(shapes[0], geometry=self.geometry, seed=self.init_seed)
        materialise(var, state, device=device, dtype=dtype)
        materialise(vae, unit_scale(shapes[1], seed=self.init_seed), device=device, dtype=dtype)
        return VarRuntime(self, var, vae)


class VarRuntime(nn.Module):
    """The built models. Everything that belongs to one generation lives in `generate`."""

    def __init__(self, config: Var, var: VAR, vae: VQVAE) -> None:
        super().__init__()
        self.config = config
        self.var = var
        self.vae = vae
        self.engine = make_engine(config.engine, VarModel(var, vae), dtype=torch_dtype(config.dtype))

    @torch.inference_mode()
    def generate(self, batch: Batch, *, backend: Any, strategy: Any, keep: Collection[str] = ()) -> Generation:
        device = self.var.pos_start.device
        labels = torch.tensor(batch.conditions, dtype=torch.int64, device=device)
        loop = self.start(labels, batch.seeds.to(device))
        return generated(loop, scales=self.config.steps, strategy=strategy, keep=keep)

    def start(self, condition: Tensor, seeds: Tensor) -> Loop:
        """A generation of one image per label (B,), for `generate` or for a strategy that runs this model beside another."""
        return self.engine.start(condition, seeds, sampling=self.config.sampling)
