"""What a clock said, as reports read it: of the arms of a study, or of the cases of a benchmark."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sdaccel.measure.speedup import Speedup


@dataclass(frozen=True)
class Quantiles:
    """Seconds over rounds."""

    p10: float
    p50: float
    p90: float
    n: int = 0


@dataclass(frozen=True)
class Timed:
    """An arm of a study that was timed."""

    seconds: Quantiles
    """Of a batch, decode in."""
    baseline: str | None = None
    speedup: Speedup | None = None
    memory_bytes: int | None = None
    """Of the arm alone, its weights included."""
    peak_bytes: int | None = None
    """In records of the first format in place of that: a peak beside all that lay on the GPU, whoever had left it there."""
    rounds: Sequence[float] = ()
    """Seconds of every round, in order; not in records of the first format."""


@dataclass(frozen=True)
class Kernel:
    name: str
    seconds: float
    runs: int
    share: float


@dataclass(frozen=True)
class Scale:
    """One of a next-scale generation."""

    side: int
    phases: Mapping[str, float]
    """Seconds."""


@dataclass(frozen=True)
class Benched:
    """An arm of a benchmark's case."""

    seconds: Quantiles
    speedup: Speedup
    floor_seconds: float | None = None
    """The least that its own work can take; None where it depends on what the arm meets on the way."""
    of_floor: float | None = None
    memory_bytes: int | None = None
    joules: float | None = None
    images: int = 1
    processes: int | None = None
    """How many have shared the work."""
    identical: int | None = None
    """Of the images, those with the bits of the first arm's."""
    phases: Mapping[str, float] = field(default_factory=dict)
    scales: Sequence[Scale] = ()
    """Phases by scale."""
    kernels: Sequence[Kernel] = ()
    """The busiest."""
    busy_seconds: float | None = None
    """Of the GPU in the profiled call."""
    launches: int | None = None
    recompiled: int = 0
    rounds: Sequence[float] = ()
    mac_ceiling: float | None = None
    """Speed-up that its multiply-accumulates would allow."""
    predicted: Quantiles | None = None
    """Seconds by a sum of parts."""


@dataclass(frozen=True)
class Case:
    arms: Mapping[str, Benched]
    order: Sequence[Sequence[int]] = ()
    """Of every round, arms as they ran, by their place among the arms."""


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
    order: Sequence[Sequence[int]] = ()
    """Of every round, arms as they ran, by their place among the arms; not in records of the first format."""
    cases: Mapping[str, Case] = field(default_factory=dict)
    """Of a benchmark, as all that follows."""
    parts: Mapping[str, Mapping[str, Quantiles]] = field(default_factory=dict)
    fit: Fit | None = None
    agreement: Mapping[str, Agreement] = field(default_factory=dict)
    failed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Case -> arms that could not run, and why."""
