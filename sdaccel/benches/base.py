"""Arms of a benchmark, timed in turn beside the least time their work can take: `experiments/bench.py +bench=NAME`.

A benchmark is a frozen dataclass under `@configurable(group="bench", name=...)`. Its record is one of a study without samples:
the content is the configuration, the device and the work, and everything that a clock says stands under timing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, Protocol

import torch

from sdaccel.errors import BadInput
from sdaccel.measure import memory
from sdaccel.measure.compiles import compiled_graphs
from sdaccel.measure.energy import joules
from sdaccel.measure.floor import Ceilings, Work, floor
from sdaccel.measure.speedup import speedup
from sdaccel.measure.timing import interleaved, summary

Cases = dict[str, list[Work]]
"""Case, such as a batch size or a kernel -> the stages of its work."""


class Benchmark(Protocol):
    question: ClassVar[str]
    """What it answers, for the report."""
    figures: ClassVar[Sequence[str]]
    """What the report draws of its record."""

    def check(self, generator: Any) -> None:
        """Raise BadInput for what cannot be measured."""
        ...

    def work(self, generator: Any) -> Cases:
        """What a case's first arm, and every one that does the same, cannot do without; of the configuration alone."""
        ...

    def run(self, generator: Any, device: torch.device) -> dict[str, Any]:
        """{"ceilings", "cases": {case: {"arms": ...}}}, as JSON."""
        ...


def listed(options: Any, *names: str) -> None:
    """Raise BadInput for the first of these options that is no list of positive numbers."""
    for name in names:
        if not (values := getattr(options, name)) or min(values) < 1:
            raise BadInput(f"bench.{name}={values} must list positive numbers.")


def compare(
    calls: Mapping[str, Callable[[], Any]],
    *,
    alone: Mapping[str, Callable[[], Callable[[], Any]]],
    device: torch.device,
    warmup: int,
    repeats: int,
    times: int = 1,
    energy: float = 0,
) -> dict[str, Any]:
    """{"order", "arms"} of a case; the first arm is what the others are compared with. A call is timed `times` times at once.

    `alone` builds an arm's call anew, for its memory; arms without an entry there have none.
    """
    built = {}
    for name, call in calls.items():
        before = compiled_graphs()
        call()
        built[name] = compiled_graphs() - before
    before = compiled_graphs()
    many = {name: _repeated(call, times) for name, call in calls.items()}
    found = interleaved(many, warmup=warmup, repeats=repeats, device=device)
    again = compiled_graphs() - before
    seconds = {name: [s / times for s in rounds] for name, rounds in found.seconds.items()}
    first = next(iter(seconds.values()))
    arms = {
        name: {
            "seconds": summary(rounds),
            "rounds": rounds,
            "speedup": asdict(speedup(first, rounds)),
            "memory_bytes": memory.alone(alone[name], device) if name in alone else None,
            "joules": joules(calls[name], device, seconds=energy) if energy else None,
            "compiled": built[name],
            "recompiled": again,
        }
        for name, rounds in seconds.items()
    }
    return {"order": found.order, "arms": arms}


def _repeated(call: Callable[[], Any], times: int) -> Callable[[], Any]:
    def many() -> None:
        for _ in range(times):
            call()

    return many


def with_floor(case: dict[str, Any], floors: Mapping[str, Sequence[Work]], ceiling: Ceilings) -> dict[str, Any]:
    """The case with every arm's least time, and the share of it in the arm's median; arms without an entry have none."""
    for name, arm in case["arms"].items():
        least = floor(floors[name], ceiling) if name in floors else None
        arm |= {"floor_seconds": least, "of_floor": least and least / arm["seconds"]["p50"]}
    return case


def total(stages: Sequence[Work]) -> dict[str, float]:
    return asdict(Work(sum(s.bytes for s in stages), sum(s.macs for s in stages)))
