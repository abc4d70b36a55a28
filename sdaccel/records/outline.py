"""What can be said of a study before it runs and of a record after it: enough to tell whether a figure can be drawn of it.

A plan promises, a record holds: a metric that turns out to have no value is in the outline of the plan and not of the record.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sdaccel.records.view import Arm, Part, Record, Study


@dataclass(frozen=True)
class ArmOutline:
    name: str
    template: str
    generator: Part
    strategy: Part
    point: Mapping[str, Any] = field(default_factory=dict)
    """The values it has of everything that was a list or varied."""
    control: bool = False
    scales: tuple[int, ...] = ()
    """Side lengths in tokens, where its generator is a next-scale model."""
    arrays: frozenset[str] = frozenset()
    """What is kept of every sample, or of all of them together."""
    stats: frozenset[str] = frozenset()
    """What its strategy counts of every sample."""
    metrics: frozenset[str] = frozenset()
    """Those with a value."""
    priced: bool = False
    """Its multiply-accumulates stand beside its baseline's."""
    over: str | None = None
    """The timed arm that its speed-up is quoted over; None: it was not timed, or beside no other."""


@dataclass(frozen=True)
class Outline:
    study: Study
    arms: Mapping[str, ArmOutline]
    conditions: int = 0
    """How many."""
    checks: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Check -> arms that it looks at."""
    bench: str | None = None
    """The benchmark's name, in the record of one; None in the record of a study."""

    @property
    def honest(self) -> list[ArmOutline]:
        """Arms that are no controls."""
        return [arm for arm in self.arms.values() if not arm.control]

    @property
    def measured(self) -> list[ArmOutline]:
        return [arm for arm in self.arms.values() if arm.metrics]

    @property
    def baseline(self) -> ArmOutline | None:
        return self.arms.get(self.study.baseline)

    def keeping(self, array: str) -> list[ArmOutline]:
        return [arm for arm in self.arms.values() if array in arm.arrays]


def outline_of(record: Record) -> Outline:
    checks: dict[str, frozenset[str]] = {}
    for found in record.checks:
        checks[found.check] = checks.get(found.check, frozenset()) | ({found.arm, found.against} & record.arms.keys())
    return Outline(
        study=record.study,
        arms={name: _arm(record, arm) for name, arm in record.arms.items()},
        conditions=len(record.conditions),
        checks=checks,
        bench=record.bench.name if record.bench else None,
    )


def _arm(record: Record, arm: Arm) -> ArmOutline:
    first: Sequence[Any] = arm.samples[:1]
    timed = record.timing.arms.get(arm.name)
    kept = [*arm.per_step, *(f"diagnostics.{name}" for name in arm.diagnostics), *(name for s in first for name in s.arrays)]
    return ArmOutline(
        name=arm.name,
        template=arm.template,
        generator=arm.generator,
        strategy=arm.strategy,
        point=arm.point,
        control=arm.control is not None,
        scales=tuple(arm.generated.scales),
        arrays=frozenset(kept),
        stats=frozenset(name for sample in first for name in sample.stats),
        metrics=frozenset(name for name in arm.metrics if arm.estimate(name) is not None),
        priced=arm.mac_ceiling is not None,
        over=timed.baseline if timed and timed.speedup else None,
    )
