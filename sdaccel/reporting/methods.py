"""Arms grouped for comparison: methods with one number that moves their cost, and the rivals that merely compute less."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sdaccel.reporting import series

Record = dict[str, Any]


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
    content = record["content"]
    configs, baseline = content["config"]["arms"], content["config"]["study"]["baseline"]
    plain = {"strategy": "Original", "backend": "Dense"}
    return [
        name
        for name, arm in content["arms"].items()
        if arm["template"] != baseline
        and arm.get("macs")
        and all(configs[name][key]["_target_"].rpartition(".")[2] == neutral for key, neutral in plain.items())
    ]


def methods(record: Record, cost: Mapping[str, float]) -> list[Method]:
    """All arms that have a cost but the baseline, in the order of the study."""
    arms, baseline = record["content"]["arms"], record["content"]["config"]["study"]["baseline"]
    trivial = set(rivals(record))
    found = []
    for template in dict.fromkeys(arms[name]["template"] for name in cost):
        own = [name for name in cost if arms[name]["template"] == template]
        if template == baseline:
            continue
        moving = _moving({name: arms[name]["point"] for name in own}, cost)
        groups: dict[str, list[str]] = {}
        for name in own:
            rest = [str(value) for key, value in arms[name]["point"].items() if key != moving]
            keys = [key for key in arms[name]["point"] if key != moving]
            said = " ".join(f"{series.short(key)}={value}" for key, value in zip(keys, rest, strict=True))
            groups.setdefault(f"{template} {said}".strip(), []).append(name)
        found += [
            Method(name, template, sorted(group, key=cost.__getitem__), set(group) <= trivial) for name, group in groups.items()
        ]
    return found


def _moving(points: Mapping[str, Mapping[str, Any]], cost: Mapping[str, float]) -> str | None:
    """The option that changes cost most while the others stand still."""
    keys = dict.fromkeys(key for point in points.values() for key in point)
    return max(keys, key=lambda key: _spread(key, points, cost), default=None)


def _spread(key: str, points: Mapping[str, Mapping[str, Any]], cost: Mapping[str, float]) -> float:
    groups: dict[str, list[float]] = {}
    for name, point in points.items():
        groups.setdefault(str([value for other, value in point.items() if other != key]), []).append(cost[name])
    return max(max(costs) - min(costs) for costs in groups.values())


def within(names: Sequence[str], cost: Mapping[str, float], budget: float) -> list[str]:
    """Those that cost no more."""
    return [name for name in names if name in cost and cost[name] <= budget]
