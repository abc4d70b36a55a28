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
from rich.console import Console
from rich.table import Table

from sdaccel.errors import BadInput
from sdaccel.measure.compiles import compiled_graphs
from sdaccel.measure.energy import joules
from sdaccel.measure.floor import Ceilings, Work, floor
from sdaccel.measure.memory import bytes_left
from sdaccel.measure.timing import interleaved, peak_memory, speedups, summary

FIGURES = ("bench_times",)
"""Of a benchmark that names none."""
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


def content(benchmark: Benchmark, generator: Any, *, config: dict[str, Any], device: dict[str, Any]) -> dict[str, Any]:
    """What can be made anew on any machine; `device` is where it was measured."""
    figures = list(getattr(benchmark, "figures", FIGURES))
    study = {"name": f"bench_{benchmark.name}", "question": benchmark.question, "baseline": "", "figures": figures}
    return {
        "config": {"study": study} | config,
        "device": device,
        "work": {case: total(stages) for case, stages in benchmark.work(generator).items()},
        "arms": {},
        "checks": [],
        "failures": [],
        "verdict": "open",
    }


def record(
    content: dict[str, Any], *, timing: dict[str, Any], source: dict[str, Any], digest: Callable[[dict[str, Any]], str]
) -> dict[str, Any]:
    """A record in the parts of every other one; what was measured anew on one machine replaces what was."""
    found = digest(content)
    return {
        "id": f"{content['config']['study']['name']}-{found[:12]}",
        "content_hash": found,
        "content": content,
        "timing": timing | {"arms": {}},
        "provenance": source,
    }


def show(made: dict[str, Any], console: Console) -> None:
    """One line per case and arm."""
    columns = ("case", "arm", "p50 ms", "p10 .. p90", "speed-up", "of floor", "memory MiB", "J", "phases, ms")
    table = Table(*columns)
    for case, found in made["timing"]["cases"].items():
        for name, arm in found["arms"].items():
            seconds, held = arm["seconds"], arm["memory_bytes"]
            table.add_row(
                case,
                name + (f" ({arm['recompiled']} recompiled)" if arm["recompiled"] else ""),
                f"{1e3 * seconds['p50']:.3f}",
                f"{1e3 * seconds['p10']:.3f} .. {1e3 * seconds['p90']:.3f}",
                f"{arm['speedup']['p50']:.2f}",
                f"{100 * arm['of_floor']:.0f} %",
                "" if held is None else f"{held / 2**20:.0f}",
                "" if arm["joules"] is None else f"{arm['joules']:.2f}",
                ", ".join(f"{phase} {1e3 * value:.1f}" for phase, value in arm.get("phases", {}).items()),
            )
        work = made["content"]["work"][case]
        says = f"{work['bytes'] / 2**20:.1f} MiB, {2 * work['macs'] / 1e9:.2f} GFLOP"
        table.add_row(case, "floor", f"{1e3 * found['floor_seconds']:.3f}", says, "", "", "", "", "")
    console.print(table)
