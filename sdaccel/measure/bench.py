"""`experiments/bench.py +bench=NAME`: run one benchmark, print its table, write its record.

A benchmark is a dataclass with `check(generator)` and `run(generator, device) -> {"ceilings", "batch_sizes"}`; where its record
comes from is the caller's to say.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from omegaconf import MISSING
from rich.console import Console
from rich.table import Table

from sdaccel.errors import BadInput


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
    def check(self, generator: Any) -> None:
        """Raise BadInput for what cannot be measured."""
        ...

    def run(self, generator: Any, device: torch.device) -> dict[str, Any]:
        """Everything that was measured, as JSON."""
        ...


def device_of(name: str) -> torch.device:
    if name not in ("cpu", "cuda"):
        raise BadInput(f"device={name} is unknown; choose cpu or cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise BadInput("device=cuda needs a GPU and this machine shows none; use device=cpu.")
    return torch.device(name)


def record(
    *, config: dict[str, Any], timing: dict[str, Any], source: dict[str, Any], digest: Callable[[dict[str, Any]], str]
) -> dict[str, Any]:
    """A record in the three parts of every other one; nothing of a benchmark but its configuration is content."""
    content = {"config": config}
    found = digest(content)
    return {
        "id": f"{config['name']}-{found[:12]}",
        "content_hash": found,
        "content": content,
        "timing": timing,
        "provenance": source,
    }


def show(timing: dict[str, Any], console: Console) -> None:
    """One line per batch size and arm."""
    table = Table("batch", "arm", "p50 ms", "p10 .. p90", "speed-up", "of floor", "peak MiB", "phases, ms")
    for size, found in timing["batch_sizes"].items():
        for name, arm in found["arms"].items():
            seconds, peak = arm["seconds"], arm["peak_bytes"]
            table.add_row(
                size,
                name,
                f"{1e3 * seconds['p50']:.2f}",
                f"{1e3 * seconds['p10']:.2f} .. {1e3 * seconds['p90']:.2f}",
                f"{arm['speedup']['p50']:.2f}",
                f"{100 * arm['of_floor']:.0f} %",
                "" if peak is None else f"{peak / 2**20:.0f}",
                ", ".join(f"{phase} {1e3 * value:.1f}" for phase, value in arm["phases"].items()),
            )
        floor = found["floor"]
        moved, done = floor["bytes"] / 2**20, 2 * floor["macs"] / 1e9
        table.add_row(
            size, "floor", f"{1e3 * found['floor_seconds']:.2f}", f"{moved:.0f} MiB, {done:.1f} GFLOP", "", "", "", ""
        )
    console.print(table)
