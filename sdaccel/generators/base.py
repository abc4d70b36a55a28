"""What the study frame asks of a generator. Generators know nothing of strategies; strategies know only seams."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from sdaccel.conditions import Batch, Condition
from sdaccel.errors import BadInput

DTYPES = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def torch_dtype(name: str) -> torch.dtype:
    """The dtype of a config's `dtype` value."""
    if name not in DTYPES:
        raise BadInput(f"generator.dtype={name} is not a number format; choose one of {', '.join(DTYPES)}.")
    return DTYPES[name]


@dataclass
class Generation:
    """One batch of results, every tensor with the batch first."""

    images: Tensor
    """(B, 3, H, W) float32 in [0, 1]."""
    kinds: list[str] = field(default_factory=list)
    """What each step or scale did: full, forecast, ..."""
    arrays: dict[str, Tensor] = field(default_factory=dict)
    """What was asked to be kept, (B, ...): latents after every step, tokens, ..."""
    stats: dict[str, Tensor] = field(default_factory=dict)
    """What a strategy counted or measured on the way, (B,) or (B, steps): small enough to stand in the record."""


@dataclass(frozen=True)
class SublayerMacs:
    """Multiply-accumulates of one layer's sublayers."""

    attn: int
    keys_values: int
    """Of these the projection of keys and values, which an attention owes to later scales even if its output is reused."""
    ffn: int


@dataclass(frozen=True)
class Cost:
    """Analytic price of one sample, for the plan and for the ceiling beside a measured speed-up."""

    macs: list[float]
    """Multiply-accumulates of every step or scale when it is computed in full."""
    decode_macs: float
    """Multiply-accumulates outside the steps: text, decoder."""
    weight_bytes: int
    state_bytes: int
    """Peak activations and caches of one sample, a rough upper figure."""
    image_bytes: int
    """One uncompressed image."""
    calls: int = 0
    """Operators launched by one full step."""
    features: Mapping[str, int] = field(default_factory=dict)
    """How many numbers a forecasting strategy keeps of one sample at one step, by granularity."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """What a step of another kind than full costs, as a share of a full one; kinds that are not named cost nothing."""
    shared_bytes: int = 0
    """Of weight_bytes, what a model beside it need not hold again: the tokenizer."""
    layers: int = 0
    scales: Sequence[int] = ()
    """Of next-scale models, the sides of their scales."""
    hidden: int = 0
    """Of next-scale models, how many numbers one token is in a block, in both rows of guidance."""
    sublayers: Sequence[SublayerMacs] = ()
    """Of next-scale models, by scale: of `macs`, layers x (attn + ffn) are in the blocks."""

    def macs_of(self, kinds: Sequence[str]) -> list[float]:
        """Multiply-accumulates of every step as it was or will be run."""
        shares = {"full": 1.0, **self.shares}
        return [macs * shares.get(kind, 0.0) for macs, kind in zip(self.macs, kinds, strict=True)]


class Tells(Protocol):
    """What every rule has that a strategy made for one generation, whatever its seam asks beside that."""

    def arrays(self) -> dict[str, Tensor]:
        """What it kept, (B, ...)."""
        ...

    def stats(self) -> dict[str, Tensor]:
        """What it counted or measured, (B,) or (B, steps): small enough to stand in the record."""
        ...


def told(rule: Tells | None) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(arrays, stats) of a `Generation`."""
    return ({}, {}) if rule is None else (rule.arrays(), rule.stats())


class Runtime(Protocol):
    """A built generator: an `nn.Module` with weights on a device."""

    def generate(self, batch: Batch, *, backend: Any, strategy: Any, keep: Collection[str] = ()) -> Generation:
        """Generate one batch. `keep` names arrays to hand back in `Generation.arrays`."""
        ...


@runtime_checkable
class Shares(Protocol):
    """A config whose options beside the weights need no second copy of them."""

    def sharing(self, other: Any, runtime: Any) -> Any:
        """This config's runtime on the weights of one built for another; None where those differ."""
        ...


@runtime_checkable
class Prepares(Protocol):
    """A Runtime with work that is done once for all samples of a study, such as reading their prompts."""

    def prepare(self, conditions: Sequence[Condition], *, cache: Path) -> None:
        """Called before the first batch; `cache` is a folder that outlives the run and may be deleted."""
        ...


@runtime_checkable
class Notes(Protocol):
    """A config with something to say of the conditions, which were checked, before the first picture."""

    def notes(self, conditions: Sequence[Condition]) -> list[str]:
        """One line for everything that a reader must know."""
        ...


class Generator(Protocol):
    """A generator's config: a frozen dataclass under `@configurable(group="generator", ...)`."""

    dtype: str

    @property
    def takes(self) -> str:
        """`label` or `prompt`."""
        ...

    @property
    def steps(self) -> int:
        """Denoising steps or scales."""
        ...

    @property
    def keeps(self) -> Sequence[str]:
        """Names that `keep` may ask for."""
        ...

    @property
    def height(self) -> int:
        """Pixels."""
        ...

    @property
    def width(self) -> int: ...

    @property
    def seam(self) -> str:
        """Where strategies attach: `denoise` or `scales`."""
        ...

    def check(self, conditions: Sequence[Condition]) -> None:
        """Raise BadInput for conditions, options or weight files that cannot work; allocates nothing large."""
        ...

    def identity(self) -> dict[str, Any]:
        """What decides the numbers: the options without paths, plus a hash of every weight file."""
        ...

    def cost(self) -> Cost:
        """Analytic cost of one sample, computed without allocating the model."""
        ...

    def build(self, device: torch.device) -> Any:
        """The Runtime, in eval mode on the device."""
        ...
