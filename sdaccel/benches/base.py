"""Arms of a benchmark, timed in turn beside the least time their work can take: `experiments/bench.py +bench=NAME`.

A benchmark is a frozen dataclass under `@configurable(group="bench", name=...)`. Its record is one of a study without samples:
the content is the configuration, the device and the work, and everything that a clock says stands under timing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, Protocol

import torch

from sdaccel.errors import BadInput
from sdaccel.measure.compiles import compiled_graphs
from sdaccel.measure.energy import joules
from sdaccel.measure.floor import Ceilings, Work, floor
from sdaccel.measure.memory import bytes_left
from sdaccel.measure.timing import interleaved, peak_memory, speedups, summary

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
        """What no arm of a case can do without; a function of the configuration alone."""
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
    device: torch.device,
    warmup: int,
    repeats: int,
    times: int = 1,
    energy: float = 0,
) -> dict[str, dict[str, Any]]:
    """Every arm of a case; the first is what the others are compared with. A call is timed `times` times at once."""
    built, left = {}, {}
    for name, call in calls.items():
        before = compiled_graphs()
        left[name] = bytes_left(call, device)
        built[name] = compiled_graphs() - before
    before = compiled_graphs()
    many = {name: _repeated(call, times) for name, call in calls.items()}
    seconds = {
        name: [s / times for s in found]
        for name, found in interleaved(many, warmup=warmup, repeats=repeats, device=device).items()
    }
    again = compiled_graphs() - before
    first = next(iter(seconds.values()))
    return {
        name: {
            "seconds": summary(found),
            "rounds": found,
            "speedup": speedups(first, found),
            "memory_bytes": None if (peak := peak_memory(calls[name], device)) is None else left[name] + peak,
            "joules": joules(calls[name], device, seconds=energy) if energy else None,
            "compiled": built[name],
            "recompiled": again,
        }
        for name, found in seconds.items()
    }


def _repeated(call: Callable[[], Any], times: int) -> Callable[[], Any]:
    def many() -> None:
        for _ in range(times):
            call()

    return many


def with_floor(arms: dict[str, dict[str, Any]], stages: Sequence[Work], ceiling: Ceilings) -> dict[str, Any]:
    """The arms of one case with the share of the least time in their median."""
    least = floor(stages, ceiling)
    for arm in arms.values():
        arm["of_floor"] = least / arm["seconds"]["p50"]
    return {"floor_seconds": least, "arms": arms}


def total(stages: Sequence[Work]) -> dict[str, float]:
    return asdict(Work(sum(s.bytes for s in stages), sum(s.macs for s in stages)))
