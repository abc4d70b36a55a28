"""What a clock said, as reports read it: of the arms of a study, or of the cases of a benchmark."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Quantiles:
    p10: float
    p50: float
    p90: float
    n: int = 0


@dataclass(frozen=True)
class Timed:
    """An arm of a study that was timed."""

    seconds: Quantiles
    """Of a batch."""
    baseline: str | None = None
    speedup: Quantiles | None = None
    peak_bytes: int | None = None
    rounds: Sequence[float] = ()
    """Seconds of every round, in order; not in records of the first format."""


@dataclass(frozen=True)
class Kernel:
    name: str
    seconds: float
    runs: int
    share: float


@dataclass(frozen=True)
class Benched:
    """An arm of a benchmark's case."""

    seconds: Quantiles
    speedup: Quantiles
    of_floor: float
    memory_bytes: int | None = None
    joules: float | None = None
    images: int = 1
    phases: Mapping[str, float] = field(default_factory=dict)
    kernels: Sequence[Kernel] = ()
    recompiled: int = 0
    rounds: Sequence[float] = ()


@dataclass(frozen=True)
class Case:
    floor_seconds: float
    arms: Mapping[str, Benched]


@dataclass(frozen=True)
class Agreement:
    """What an engine drew otherwise than the reference on the same canvas."""

    relative_l2: float
    tokens: int
    different: int
    unexplained: int


@dataclass(frozen=True)
class Fit:
    """Seconds by a sum of parts, beside the clock."""

    predicted: float
    measured: float
    images: Mapping[str, "Fit"] = field(default_factory=dict)


@dataclass(frozen=True)
class Timing:
    """Empty where nothing was timed."""

    batch_size: int = 0
    arms: Mapping[str, Timed] = field(default_factory=dict)
    cases: Mapping[str, Case] = field(default_factory=dict)
    """Of a benchmark, as all that follows."""
    parts: Mapping[str, Mapping[str, Quantiles]] = field(default_factory=dict)
    fit: Fit | None = None
    agreement: Mapping[str, Agreement] = field(default_factory=dict)
