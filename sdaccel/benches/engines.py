"""What an image costs under every engine, beside the least it could cost: `python experiments/bench.py +bench=var_engine`.

Arms are engines of one generator, run in turn in one process, noise and decoder inside the timer. The floor is that of the
generator's number format: per scale, weights without adaLN and the cache are read once; adaLN and the decoder's weights once
per batch. Phases are timed in a pass of their own, without graphs. Memory is that of an engine built anew, at the worst moment
of its second batch. Kernels are those of a further, profiled batch.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from sdaccel.benches.agreement import agreement
from sdaccel.benches.base import Cases, compare, listed, with_floor
from sdaccel.conditions import Batch, batches
from sdaccel.errors import BadInput, at_least
from sdaccel.generators.base import torch_dtype
from sdaccel.generators.graphs import Graphs
from sdaccel.generators.nextscale.engine import Eager
from sdaccel.generators.var.cost import ROWS, ada_macs, scale_macs
from sdaccel.generators.var.engine_fast import Fast, FastLoop
from sdaccel.generators.var.generator import Var, VarRuntime
from sdaccel.generators.var.sampler import VarModel
from sdaccel.measure.floor import Work, ceilings, synchronize
from sdaccel.measure.profile import busiest
from sdaccel.registry import configurable

PHASES = {"block0_input": "canvas", "last_block_output": "blocks", "tokens": "head and sampling", "f_hat": "canvas"}
"""The phase that ends where a loop records a name."""
LISTED = 12
"""Kernels of every arm that the record names."""
COMPARED = 2
"""Images that engines are compared on, token by token."""


@configurable(group="bench", name="var_engine")
@dataclass(frozen=True, kw_only=True)
class VarEngine:
    """The benchmark; its arms change the generator's options."""

    arms: dict[str, dict[str, Any]] = field(default_factory=lambda: {"eager": {"engine": "eager"}, "fast": {"engine": "fast"}})
    """Options of the generator by arm; the first arm is what the others are compared with."""
    batch_sizes: list[int] = field(default_factory=lambda: [1])
    repeats: int = 10
    warmup: int = 3
    energy_seconds: float = 1.0
    """How long an arm runs for its joules, where the machine counts them."""

    question: ClassVar[str] = "What does an image cost under every engine of VAR, beside the least that it could cost?"
    figures: ClassVar[Sequence[str]] = ("bench_times",)

    def check(self, generator: Any) -> None:
        if not isinstance(generator, Var):
            raise BadInput(
                f"bench=var_engine needs a VAR, not {type(generator).__name__}; set generator=var_d16 or another one."
            )
        for config in self.configs(generator).values():
            config.check([0])
        at_least(1, self, "repeats", where="bench")
        listed(self, "batch_sizes")

    def configs(self, generator: Var) -> dict[str, Var]:
        return {name: replace(generator, **options) for name, options in self.arms.items()}

    def work(self, generator: Var) -> Cases:
        return {f"batch {size}": work(generator, size) for size in self.batch_sizes}

    def run(self, generator: Var, device: torch.device) -> dict[str, Any]:
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
        return {"ceilings": asdict(ceiling), "cases": cases, "agreement": agreements(runtimes, device)}

    def _batch(self, runtimes: dict[str, VarRuntime], generator: Var, size: int, device: torch.device) -> dict[str, Any]:
        labels = [i % generator.num_classes for i in range(size)]
        batch = batches(labels, seed=0, size=size)[0]

        def generating(runtime: VarRuntime) -> Callable[[], Any]:
            return lambda: runtime.generate(batch, backend=None, strategy=None)

        calls = {name: generating(runtime) for name, runtime in runtimes.items()}
        alone = {name: lambda r=r: generating(r.config.build(device)) for name, r in runtimes.items()}
        rounds = {"warmup": self.warmup, "repeats": self.repeats}
        found = compare(calls, alone=alone, device=device, energy=self.energy_seconds, **rounds)
        for name, arm in found["arms"].items():
            arm["phases"] = phases(runtimes[name], batch, device)
            arm["kernels"] = busiest(calls[name], device, count=LISTED)
            arm["images"] = size
            if isinstance(engine := runtimes[name].engine, Fast):
                engine.forget()  # or the next batch size would work in memory that this one has paid for
        return found


def work(config: Var, size: int) -> list[Work]:
    """The stages of one batch: adaLN, every scale, the decoder."""
    g, cost, item = config.geometry, config.cost(), torch_dtype(config.dtype).itemsize
    layout, block = config.layout, 12 * g.width**2
    stages = [Work(item * ada_macs(g) / ROWS, size * ada_macs(g))]
    for k in range(layout.scales):
        weights = g.depth * block + g.width * g.vocab
        cache = 2 * g.depth * ROWS * size * g.width * (layout.row_start(k + 1) + layout.rows(k))  # read all, write the new
        macs = scale_macs(g, k) - (ada_macs(g) if k == 0 else 0)
        stages.append(Work(item * (weights + cache), size * macs))
    return [*stages, Work(item * decoder_parameters(config), size * cost.decode_macs)]


def decoder_parameters(config: Var) -> int:
    return sum(p.numel() for p in config.models_without_storage()[1].decoder.parameters())


@torch.no_grad()
def agreements(runtimes: dict[str, VarRuntime], device: torch.device) -> dict[str, dict[str, Any]]:
    """Every fast arm beside the first eager one on its canvas: how far the logits are off, and whether that explains each token
    that differs. Filters are off: at their edge a rounding decides whether a code may win at all."""
    reference = next((r for r in runtimes.values() if isinstance(r.engine, Eager)), None)
    fast = {name: r for name, r in runtimes.items() if isinstance(r.engine, Fast)}
    if reference is None:
        return {}
    labels, seeds = torch.arange(COMPARED, device=device) % reference.config.num_classes, torch.arange(COMPARED, device=device)
    out: dict[str, dict[str, Any]] = {}
    for name, runtime in fast.items():
        sampling = replace(runtime.config, top_k=0, top_p=0.0, more_smooth=False).sampling
        loop: Any = runtime.engine.start(labels, seeds, sampling=sampling)
        found = agreement(loop.run, labels, seeds, sampling=sampling, model=VarModel(reference.var, reference.vae))
        out[name] = {
            "relative_l2": float(f"{found.relative_l2:.3g}"),
            "tokens": found.tokens,
            "different": len(found.differences),
            "unexplained": sum(not difference.explained for difference in found.differences),
        }
    return out


@torch.no_grad()
def phases(
    runtime: VarRuntime, batch: Batch, device: torch.device, *, rounds: Sequence[bool] = (False, True)
) -> dict[str, float]:
    """Seconds by phase of one generation, synchronised at every boundary; the rounds before the last one warm up."""
    spent: dict[str, float] = {}
    for _ in rounds:
        spent = _phases(runtime, batch, device)
    return spent


def _phases(runtime: VarRuntime, batch: Batch, device: torch.device) -> dict[str, float]:
    spent: dict[str, float] = defaultdict(float)
    synchronize(device)
    last = time.perf_counter()

    def until_now(phase: str) -> None:
        nonlocal last
        synchronize(device)
        now = time.perf_counter()
        spent[phase] += now - last
        last = now

    def record(name: str, value: Tensor) -> None:
        if name in PHASES:
            until_now(PHASES[name])

    labels = torch.tensor(batch.conditions, device=device)
    loop: Any = runtime.engine.start(labels, batch.seeds.to(device), sampling=runtime.config.sampling)
    graphs = loop.graphs if isinstance(loop, FastLoop) else None
    if isinstance(loop, FastLoop):
        loop.graphs = Graphs(enabled=False)
    loop.record = record
    until_now("class and adaLN")
    for k in range(runtime.config.steps):
        loop.full(k)
    loop.finish()
    until_now("decode")
    if isinstance(loop, FastLoop) and graphs is not None:
        loop.graphs, loop.record = graphs, lambda name, value: None
    return dict(spent)
