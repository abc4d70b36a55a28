"""A record as reports read it: typed, frozen, and the same whatever version wrote it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sdaccel.records.timing import Timing

Series = Sequence[float | None]
"""One value per step; None where nothing finite was measured."""


@dataclass(frozen=True)
class Part:
    """A generator, backend, strategy or benchmark by its registered name."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    """What is known of a model that an arm runs: its generator, or one beside it."""

    depth: int | None = None
    scales: Sequence[int] = ()
    """Side lengths in tokens of a next-scale model."""
    weight_bytes: int | None = None
    shared_bytes: int = 0
    """Of these, what models beside each other share: the tokenizer."""
    decode_macs: float | None = None


@dataclass(frozen=True)
class Facts:
    exact: bool = False
    """The strategy keeps the distribution of the unaccelerated run."""
    random_weights: bool = False
    """Of any of its models."""
    models: Mapping[str, Model] = field(default_factory=dict)


@dataclass(frozen=True)
class Control:
    """A negative control: the bug planted, the arm it stands for, and the check that must fail it."""

    mutant: str
    stands_for: str
    fails: str


@dataclass(frozen=True)
class Metric:
    """A figure of an arm, with the ends of its interval where it has one."""

    estimate: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    note: str = ""
    """Why something is missing."""

    @property
    def ends(self) -> tuple[float, float] | None:
        return None if self.low is None or self.high is None else (self.low, self.high)


@dataclass(frozen=True)
class Paired:
    """Pixels against those of another arm on the same noise."""

    against: str
    identical: int
    psnr: float | None
    n: int


@dataclass(frozen=True)
class Sample:
    index: int
    image: str
    """Hash of its pixels."""
    arrays: Mapping[str, str] = field(default_factory=dict)
    stats: Mapping[str, Any] = field(default_factory=dict)
    """What the strategy counted on the way."""


@dataclass(frozen=True)
class Each:
    """What belongs to single samples."""

    samples: Sequence[Sample] = ()
    values: Mapping[str, Series] = field(default_factory=dict)
    """Metric -> one value per sample, of metrics that have such."""


@dataclass(frozen=True)
class Arm:
    name: str
    template: str
    generator: Part
    backend: Part
    strategy: Part
    point: Mapping[str, Any] = field(default_factory=dict)
    """The values it has of everything that was a list or varied."""
    facts: Facts = field(default_factory=Facts)
    control: Control | None = None
    experimental: bool = False
    kinds: Mapping[str, int] = field(default_factory=dict)
    """What its steps did -> how many."""
    macs: float = 0.0
    mac_ceiling: float | None = None
    """Speed-up that its multiply-accumulates would allow."""
    paired: Paired | None = None
    per_step: Mapping[str, Series] = field(default_factory=dict)
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    """Nested lists of numbers, means over samples."""
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    each: Callable[[], Each] = field(default=Each, repr=False, compare=False)
    """Read when it is asked for."""

    @property
    def samples(self) -> Sequence[Sample]:
        return self.each().samples

    @property
    def values(self) -> Mapping[str, Series]:
        return self.each().values

    @property
    def generated(self) -> Model:
        """Its generator's model."""
        return self.facts.models.get("generator", Model())

    @property
    def cost(self) -> float | None:
        """Multiply-accumulates relative to the baseline's."""
        return 1 / self.mac_ceiling if self.mac_ceiling else None

    def estimate(self, metric: str) -> float | None:
        """None where it was not measured, or has no value."""
        return self.metrics[metric].estimate if metric in self.metrics else None

    def known(self, metric: str) -> float:
        """Of a metric that has a value."""
        estimate = self.estimate(metric)
        assert estimate is not None, f"{self.name} has no {metric}"
        return estimate


@dataclass(frozen=True)
class Evidence:
    """What a verdict by an interval rests on; see sdaccel.metrics.decision."""

    low: float | None
    """Ends of the 95 % interval of what was measured; None: infinite."""
    high: float | None
    p: float
    detectable: float | None
    """Smallest distance to the bound that so many samples show in 80 of 100 repetitions."""
    adjusted: float | None = None
    """p among all claims of the study, by Holm; None of controls."""
    margin: float | None = None
    """Largest loss that would not matter, of checks that have one."""
    power: float | None = None
    """Chance to pass if there were no loss at all."""


@dataclass(frozen=True)
class Check:
    check: str
    arm: str
    against: str
    measured: float | None
    """None: not a finite number, which never passes."""
    bound: float
    passed: bool | None
    """None: open, these samples do not tell."""
    where: str
    series: Series | None
    control: bool
    """The arm is a negative control; `passed` is what the check said of it."""
    relation: str = "<="
    """How `measured` has to lie to the bound."""
    evidence: Evidence | None = None
    """None: it was decided without an interval."""


@dataclass(frozen=True)
class Recommend:
    """What a study chooses among; see sdaccel.records.calibration."""

    arms: Sequence[str] = ()
    """Templates of the candidates."""
    name: str = ""
    """Of the calibration that it writes."""


@dataclass(frozen=True)
class Study:
    name: str
    question: str = ""
    baseline: str = ""
    figures: Sequence[str] = ()
    keep: Sequence[str] = ()
    truth: Sequence[str] = ()
    """Templates of the arms that stand for the exact solution."""
    recommend: Recommend = field(default_factory=Recommend)


@dataclass(frozen=True)
class Git:
    commit: str
    dirty: str | None = None
    """Hash of what differs from it."""
    told: bool = False
    """By SDACCEL_COMMIT, outside a checkout."""


@dataclass(frozen=True)
class Provenance:
    command: Sequence[str] = ()
    code: str | Mapping[str, str] = ""
    """Fingerprint of what decides samples, by arm; of records of the first format one for all."""
    git: Git | None = None
    libraries: Mapping[str, str] = field(default_factory=dict)
    python: str = ""
    device: str = ""
    device_name: str = ""
    torch: str = ""
    threads: int | None = None


@dataclass(frozen=True)
class Record:
    study: Study
    arms: Mapping[str, Arm]
    id: str = ""
    content_hash: str = ""
    checks: Sequence[Check] = ()
    failures: Sequence[str] = ()
    verdict: str = "no claim"
    timing: Timing = field(default_factory=Timing)
    conditions: Sequence[str | int] = ()
    bench: Part | None = None
    provenance: Provenance = field(default_factory=Provenance)
    folders: Mapping[str, str] = field(default_factory=dict)
    """Arm -> where its samples were written."""
    random_weights: bool = False
    """Of a benchmark; those of a study are its arms' to say."""
    content: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """As it is hashed, for comparisons and mirrors."""
    again: "Record | None" = field(default=None, repr=False)
    """The same, judged again by checks of a later day; see sdaccel.records.judged."""

    @property
    def measured(self) -> dict[str, Arm]:
        """Arms that have metrics."""
        return {name: arm for name, arm in self.arms.items() if arm.metrics}

    @property
    def weights(self) -> str:
        """A word on random weights, where any are."""
        random = [arm.facts.random_weights for arm in self.arms.values()] or [self.random_weights]
        some = "" if all(random) else f" in {sum(random)} of {len(random)} arms"
        return f"random weights{some}" if any(random) else ""
