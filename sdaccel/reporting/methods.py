"""Arms grouped for comparison: methods with one number that moves their cost, and the rivals that merely compute less."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sdaccel.records.view import Arm, Record
from sdaccel.reporting import series


@dataclass(frozen=True)
class Method:
    """Arms of one template that differ in one number only, cheapest first."""

    name: str
    template: str
    arms: list[str]
    rival: bool
    """Every step in full and every operator dense: a smaller problem, no acceleration."""


def rivals(record: Record) -> list[str]:
    """Arms that compute less by asking for less: fewer steps, a smaller model."""
    return [
        name
        for name, arm in record.arms.items()
        if arm.template != record.study.baseline and arm.macs and (arm.strategy.name, arm.backend.name) == ("original", "dense")
    ]


def methods(record: Record, cost: Mapping[str, float]) -> list[Method]:
    """All arms that have a cost but the baseline, in the order of the study."""
    trivial = set(rivals(record))
    found = []
    for template in dict.fromkeys(record.arms[name].template for name in cost):
        if template == record.study.baseline:
            continue
        own = {name: record.arms[name] for name in cost if record.arms[name].template == template}
        moving = _moving(own, cost)
        groups: dict[str, list[str]] = {}
        for name, arm in own.items():
            said = " ".join(f"{series.short(key)}={value}" for key, value in arm.point.items() if key != moving)
            groups.setdefault(f"{template} {said}".strip(), []).append(name)
        found += [
            Method(name, template, sorted(group, key=cost.__getitem__), set(group) <= trivial) for name, group in groups.items()
        ]
    return found


def _moving(arms: Mapping[str, Arm], cost: Mapping[str, float]) -> str | None:
    """The option that changes cost most while the others stand still."""
    keys = dict.fromkeys(key for arm in arms.values() for key in arm.point)
    return max(keys, key=lambda key: _spread(key, arms, cost), default=None)


def _spread(key: str, arms: Mapping[str, Arm], cost: Mapping[str, float]) -> float:
    groups: dict[str, list[float]] = {}
    for name, arm in arms.items():
        groups.setdefault(str([value for other, value in arm.point.items() if other != key]), []).append(cost[name])
    return max(max(costs) - min(costs) for costs in groups.values())


def within(names: Sequence[str], cost: Mapping[str, float], budget: float) -> list[str]:
    """Arms whose cost is within the budget."""
    return [name for name in names if name in cost and cost[name] <= budget]
