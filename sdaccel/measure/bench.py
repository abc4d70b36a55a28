"""`experiments/bench.py +bench=NAME`: arms of a benchmark, timed in turn beside the least time their work can take.

A benchmark is a dataclass with a question, `check(generator)`, `work(generator)` and `run(generator, device)`; where its record
comes from is the caller's to say. A record of a benchmark is one of a study without samples: its content is the configuration,
the device and the work, and everything that a clock says stands under timing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch
from omegaconf import MISSING

from sdaccel.errors import BadInput
from sdaccel.measure.compiles import compiled_graphs
from sdaccel.measure.energy import joules
from sdaccel.measure.floor import Ceilings, Work, floor
from sdaccel.measure.memory import bytes_left
from sdaccel.measure.timing import interleaved, peak_memory, speedups, summary

Cases = dict[str, list[Work]]
"""Case, such as a batch size or a kernel -> the stages of its work."""


@dataclass
class Options:
    """The command line of a benchmark."""

    bench: Any = MISSING
    """What is measured, chosen by +bench=NAME."""
    generator: Any = MISSING
    device: str = "cpu"
    output: str = "runs/bench"
    """Where records go."""


class Benchmark(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def question(self) -> str:
        """What it answers, for the report."""
        ...

    def check(self, generator: Any) -> None:
        """Raise BadInput for what cannot be measured."""
        ...

    def work(self, generator: Any) -> Cases:
        """What no arm of a case can do without; a function of the configuration alone."""
        ...

    def run(self, generator: Any, device: torch.device) -> dict[str, Any]:
        """{"ceilings", "cases": {case: {"arms": ...}}}, as JSON."""
        ...


def device_of(name: str) -> torch.device:
    if name not in ("cpu", "cuda"):
        raise BadInput(f"device={name} is unknown; choose cpu or cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise BadInput("device=cuda needs a GPU and this machine shows none; use device=cpu.")
    return torch.device(name)


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
            "memory_bytes": _sum(left[name], peak_memory(calls[name], device)),
            "joules": joules(calls[name], device, seconds=energy) if energy else None,
            "compiled": built[name],
            "recompiled": again,
        }
        for name, found in seconds.items()
    }


def _sum(left: int, peak: int | None) -> int | None:
    """What an arm needs to be ready, and for one call beside that."""
    return None if peak is None else left + peak


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
