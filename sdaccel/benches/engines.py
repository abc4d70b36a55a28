"""What an image costs under every engine of a next-scale generator, beside the least it could cost.

Arms are engines of one generator, run in turn in one process, noise and decoder inside the timer; conditions are read before.
Phases are timed in a pass of their own, without graphs. Memory is that of an engine built anew, at the worst moment of its
second batch. Kernels are those of a further, profiled batch.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from sdaccel.benches.base import Cases, compare, listed, with_floor
from sdaccel.conditions import Condition, batches
from sdaccel.errors import BadInput, at_least
from sdaccel.generators.base import torch_dtype
from sdaccel.generators.nextscale.engine import generated
from sdaccel.generators.nextscale.layout import Layout
from sdaccel.measure.floor import Work, ceilings, synchronize
from sdaccel.measure.profile import busiest
from sdaccel.registry import name_of

LISTED = 12
"""Kernels of every arm that the record names."""


@dataclass(frozen=True, kw_only=True)
class Engines:
    """The benchmark but for what is a generator's own; its arms change the generator's options."""

    arms: dict[str, dict[str, Any]] = field(default_factory=lambda: {"eager": {"engine": "eager"}})
    """Options of the generator by arm; the first arm is what the others are compared with."""
    batch_sizes: list[int] = field(default_factory=lambda: [1])
    repeats: int = 10
    warmup: int = 3
    energy_seconds: float = 1.0
    """How long an arm runs for its joules, where the machine counts them."""

    question: ClassVar[str]
    figures: ClassVar[Sequence[str]] = ("bench_times",)
    kind: ClassVar[type]
    """Class of the generator."""
    example: ClassVar[str]
    """A generator of that class."""
    ends: ClassVar[Mapping[str, str]]
    """The phase that ends where a loop records a name; "start" ends before the first scale."""

    def conditions(self, generator: Any, count: int) -> list[Condition]:
        raise NotImplementedError

    def told(self, runtime: Any, conditions: list[Condition]) -> Any:
        """What a generation of these is started with, on the device."""
        raise NotImplementedError

    def anew(self, runtime: Any) -> Any:
        """The same weights in memory of their own, under an engine that has not run."""
        raise NotImplementedError

    def stages(self, generator: Any, size: int) -> list[Work]:
        """The work of one batch."""
        raise NotImplementedError

    def beside(self, runtimes: dict[str, Any], device: torch.device) -> dict[str, Any]:
        """What else the record holds under timing."""
        return {}

    def check(self, generator: Any) -> None:
        if not isinstance(generator, self.kind):
            raise BadInput(
                f"bench={name_of(self)} needs a {self.kind.__name__.upper()}, not {type(generator).__name__}; set "
                f"generator={self.example} or another one."
            )
        for config in self.configs(generator).values():
            config.check(self.conditions(generator, 1))
        at_least(1, self, "repeats", where="bench")
        listed(self, "batch_sizes")

    def configs(self, generator: Any) -> dict[str, Any]:
        return {name: replace(generator, **options) for name, options in self.arms.items()}

    def work(self, generator: Any) -> Cases:
        return {f"batch {size}": self.stages(generator, size) for size in self.batch_sizes}

    def run(self, generator: Any, device: torch.device) -> dict[str, Any]:
        runtimes = {name: config.build(device) for name, config in self.configs(generator).items()}
        dtype = torch_dtype(generator.dtype)
        before = ceilings(device, dtype)
        measured = [self._batch(runtimes, generator, size, device) for size in self.batch_sizes]
        ceiling = before.raised(ceilings(device, dtype))  # other work on the machine lowers either
        stages = self.work(generator)
        cases = {
            case: with_floor(found, dict.fromkeys(runtimes, stages[case]), ceiling)
            for case, found in zip(stages, measured, strict=True)
        }
        return {"ceilings": asdict(ceiling), "cases": cases} | self.beside(runtimes, device)

    def _batch(self, runtimes: dict[str, Any], generator: Any, size: int, device: torch.device) -> dict[str, Any]:
        batch = batches(self.conditions(generator, size), seed=0, size=size)[0]
        told, seeds = self.told(next(iter(runtimes.values())), list(batch.conditions)), batch.seeds.to(device)
        calls = {name: partial(generate, runtime, told, seeds) for name, runtime in runtimes.items()}
        alone = {name: lambda r=r: partial(generate, self.anew(r), told, seeds) for name, r in runtimes.items()}
        rounds = {"warmup": self.warmup, "repeats": self.repeats}
        found = compare(calls, alone=alone, device=device, energy=self.energy_seconds, **rounds)
        for name, arm in found["arms"].items():
            arm |= split(runtimes[name], told, seeds, ends=self.ends)
            arm |= asdict(busiest(calls[name], device, count=LISTED))
            arm["images"] = size
            if hasattr(engine := runtimes[name].engine, "forget"):
                engine.forget()  # or the next batch size would work in memory that this one has paid for
        return found


@torch.inference_mode()
def generate(runtime: Any, told: Any, seeds: Tensor) -> None:
    generated(runtime.start(told, seeds), scales=runtime.config.steps, strategy=None, keep=())


def scale_stages(layout: Layout, macs: Sequence[float], *, weights: float, kv: float, itemsize: int, size: int) -> list[Work]:
    """Every scale reads its weights (elements) once and all keys and values, of which it writes its own: `kv` are those of one
    position of one sample's rows."""
    seen = [layout.row_start(k + 1) + layout.rows(k) for k in range(layout.scales)]
    return [Work(itemsize * (weights + size * kv * rows), size * own) for rows, own in zip(seen, macs, strict=True)]


def decoder_parameters(config: Any) -> int:
    return sum(p.numel() for p in config.models_without_storage()[1].decoder.parameters())


class Clock:
    """Seconds by phase, by part of a generation; waits for the device at every boundary."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.parts = device, [defaultdict[str, float](float)]
        synchronize(device)
        self.last = time.perf_counter()

    def end(self, phase: str) -> None:
        synchronize(self.device)
        now = time.perf_counter()
        self.parts[-1][phase] += now - self.last
        self.last = now

    def begin_part(self) -> None:
        self.parts.append(defaultdict(float))

    def total(self) -> dict[str, float]:
        phases = dict.fromkeys(phase for part in self.parts for phase in part)
        return {phase: sum(part.get(phase, 0.0) for part in self.parts) for phase in phases}


@torch.no_grad()
def split(runtime: Any, told: Any, seeds: Tensor, *, ends: Mapping[str, str]) -> dict[str, Any]:
    """{"phases": seconds, "scales": [the side, its phases]} of one generation, after another one that warms up."""
    _timed(runtime, told, seeds, ends)
    clock = _timed(runtime, told, seeds, ends)
    parts = zip(runtime.config.layout.patch_nums, clock.parts[1:-1], strict=True)
    return {"phases": clock.total(), "scales": [{"side": side, "phases": dict(part)} for side, part in parts]}


def _timed(runtime: Any, told: Any, seeds: Tensor, ends: Mapping[str, str]) -> Clock:
    clock = Clock(seeds.device)

    def record(name: str, value: Tensor) -> None:
        if name in ends:
            clock.end(ends[name])

    loop = runtime.start(told, seeds)
    with recorded(loop, record):
        clock.end(ends["start"])
        for k in range(runtime.config.steps):
            clock.begin_part()
            loop.full(k)
        clock.begin_part()
        loop.finish()
        clock.end("decode")
    return clock


@contextmanager
def recorded(loop: Any, record: Callable[[str, Tensor], None]) -> Iterator[None]:
    """Inside, operators are launched one by one, and the loop records; a loop with graphs is used again, so both end."""
    graphs, before = getattr(loop, "graphs", None), loop.record
    if graphs is not None:
        loop.graphs = type(graphs)(enabled=False)
    loop.record = record
    yield
    loop.record = before
    if graphs is not None:
        loop.graphs = graphs
