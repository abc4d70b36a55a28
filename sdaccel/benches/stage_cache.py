"""What forced plans of the stage cache take, beside a sum of parts: `python experiments/bench.py +bench=stage_cache`.

Arms are whole generations in turn in one process, decoder included and conditions read before: the target, every preset, and
the widest plans, which reuse wherever a stage may. Each marks the end of every scale without waiting for the device. A preset's
sum of parts is the target's seconds with the scales that it reuses at the widest plan's price in place of the target's, all of
one round; so it holds what remains of a reused scale: keys and values, interpolation, logits, sampling and canvas. What is
before scale 0 and in it has that price, too: there a plan is made.

An arm that cannot run, such as for want of memory, is told beside the others.
"""

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from sdaccel.benches.base import Cases, compare, listed, with_floor
from sdaccel.benches.engines import Engines
from sdaccel.benches.hart_engine import HartEngine
from sdaccel.benches.var_engine import VarEngine
from sdaccel.conditions import batches
from sdaccel.errors import BadInput, at_least
from sdaccel.generators.base import Cost, torch_dtype
from sdaccel.measure.floor import ceilings
from sdaccel.measure.timing import summary
from sdaccel.registry import configurable
from sdaccel.strategies.stage_cache.maps import StageMap, map_of
from sdaccel.strategies.stage_cache.options import KINDS, Options
from sdaccel.strategies.stage_cache.presets import preset
from sdaccel.strategies.stage_cache.strategy import StageCache

TARGET, WIDEST = "target", "all that may"
"""Arms."""
BENCHES: tuple[Engines, ...] = (HartEngine(), VarEngine())
"""They know how a generation of their generator is told what to show, and its least work."""


@configurable(group="bench", name="stage_cache")
@dataclass(frozen=True, kw_only=True)
class ForcedPlans:
    """The benchmark; the generator says by which engine."""

    presets: list[str] = field(default_factory=lambda: ["late-1", "late-2", "late-3"])
    """Those with one and the same plan are one arm."""
    batch_sizes: list[int] = field(default_factory=lambda: [1])
    repeats: int = 5
    warmup: int = 1

    question: ClassVar[str] = (
        "What do plans of the stage cache buy when reuse is forced, and does the sum of their parts say so?"
    )
    figures: ClassVar[Sequence[str]] = ("bench_times",)

    def check(self, generator: Any) -> None:
        generator.check(bench_of(generator).conditions(generator, 1))
        at_least(1, self, "repeats", where="bench")
        listed(self, "batch_sizes")
        if not self.presets:
            raise BadInput("bench.presets=[] leaves nothing beside the target; name a preset, such as late-1.")
        self.plans(map_of(generator.scales))

    def work(self, generator: Any) -> Cases:
        """The floor is that of the target alone."""
        return {f"batch {size}": bench_of(generator).stages(generator, size) for size in self.batch_sizes}

    def plans(self, stages: StageMap) -> dict[str, StageCache]:
        """Every plan by the names of its presets."""
        found: list[tuple[StageCache, list[str]]] = []
        for name in dict.fromkeys(self.presets):
            plan = forced(preset(name, stages))
            alike = next((names for other, names in found if other == plan), None)
            if alike is None:
                found.append((plan, [name]))
            else:
                alike.append(name)
        return {" = ".join(names): plan for plan, names in found}

    def run(self, generator: Any, device: torch.device) -> dict[str, Any]:
        dtype = torch_dtype(generator.dtype)
        before, runtime = ceilings(device, dtype), generator.build(device)
        measured = {f"batch {size}": self._batch(runtime, size, device) for size in self.batch_sizes}
        ceiling, stages = before.raised(ceilings(device, dtype)), self.work(generator)
        found = {case: each for case, each in measured.items() if TARGET not in each.failed}
        return {
            "ceilings": asdict(ceiling),
            "cases": {case: with_floor(each.case, {TARGET: stages[case]}, ceiling) for case, each in found.items()},
            "parts": {case: each.parts for case, each in found.items()},
            "failed": {case: each.failed for case, each in measured.items()},
        }

    def _batch(self, runtime: Any, size: int, device: torch.device) -> "Batch":
        config, bench = runtime.config, bench_of(runtime.config)
        stages = map_of(config.scales)
        plans = self.plans(stages)
        wide = {name: widest(plan, stages) for name, plan in plans.items() if plan.kinds}
        arms = {TARGET: None} | plans | {widest_name(plan): plan for plan in wide.values()}
        batch = batches(bench.conditions(config, size), seed=0, size=size)[0]
        told, seeds = bench.told(runtime, list(batch.conditions)), batch.seeds.to(device)
        marks = {name: Marks(device) for name in arms}
        calls = {name: partial(generation, runtime, told, seeds, plan, marks[name]) for name, plan in arms.items()}
        failed = failures(calls)
        if TARGET in failed:
            return Batch({}, {}, failed)
        able = {name: call for name, call in calls.items() if name not in failed}
        warmup = max(0, self.warmup - 2)  # each has run once, and does so again before it is timed
        case = compare(able, alone={}, device=device, warmup=warmup, repeats=self.repeats)
        phases = {name: marks[name].seconds(self.repeats) for name in able}
        cost = config.cost()
        for name, arm in case["arms"].items():
            plan = arms[name]
            arm |= {"images": size, "mac_ceiling": 1.0 if plan is None else mac_ceiling(plan, cost), "predicted": None}
            price = phases.get(widest_name(wide[name]) if name in wide else TARGET)
            if name in plans and price is not None:
                own, whole = priced_anew(plans[name], stages, layers=cost.layers), case["arms"][TARGET]["rounds"]
                arm["predicted"] = summary(predicted(whole, phases[TARGET], price, own=own))
        if hasattr(runtime.engine, "forget"):
            runtime.engine.forget()  # or the next batch size would work in memory that this one has paid for
        gc.collect()
        return Batch(case, parts_of({name: phases[name] for name in phases if name not in plans}), failed)


@dataclass(frozen=True)
class Batch:
    """What was measured of a batch size."""

    case: dict[str, Any]
    parts: dict[str, Any]
    failed: dict[str, str]
    """Why an arm is missing."""


class Marks:
    """When the phases of an arm's generations ended, which nobody waits for."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.generations: list[list[Any]] = []

    def begin(self) -> None:
        self.generations.append([])
        self.end()

    def end(self) -> None:
        if self.device.type != "cuda":
            self.generations[-1].append(time.perf_counter())
            return
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        self.generations[-1].append(event)

    def seconds(self, last: int) -> np.ndarray:  # (last, phases)
        """Of so many generations, once they are over."""
        return np.array([[self._between(*ends) for ends in pairwise(g)] for g in self.generations[-last:]])

    def _between(self, begin: Any, end: Any) -> float:
        return end - begin if self.device.type != "cuda" else begin.elapsed_time(end) / 1000


@torch.inference_mode()
def generation(runtime: Any, told: Any, seeds: Tensor, strategy: StageCache | None, marks: Marks) -> None:
    """A picture: what begins it, every scale and what ends it are phases."""
    steps = runtime.config.steps
    marks.begin()
    loop = runtime.start(told, seeds)
    scale: Callable[[int], Any] = loop.full if strategy is None else strategy.start(loop, steps=steps).scale
    marks.end()
    for k in range(steps):
        scale(k)
        marks.end()
    loop.finish()
    marks.end()


def failures(calls: Mapping[str, Callable[[], Any]]) -> dict[str, str]:
    """Why calls fail, by arm; the others have run once then."""
    out = {}
    for name, call in calls.items():
        try:
            call()
        except RuntimeError as error:  # as a device tells that its memory is full
            out[name] = str(error).partition("\n")[0]
    return out


def bench_of(generator: Any) -> Engines:
    for bench in BENCHES:
        if isinstance(generator, bench.kind):
            return bench
    raise BadInput(
        f"bench=stage_cache needs a HART or a VAR, not {type(generator).__name__}; set generator=hart_0.7b or var_d30."
    )


def forced(options: Options) -> StageCache:
    """Their plan, whatever is alike: of the options only those that matter then."""
    names = ("skip_stages", "cache_stages", "enable_attn_cache", "enable_mlp_cache", "interpolation_mode")
    return StageCache(force=True, **{name: getattr(options, name) for name in names})


def widest(plan: StageCache, stages: StageMap) -> StageCache:
    """Every stage that may reuse the same sublayers does."""
    skip, cache = list(stages.may_skip), list(stages.may_cache)
    return replace(plan, skip_stages=skip, cache_stages=cache, max_skip_stages=len(skip))


def widest_name(plan: StageCache) -> str:
    own = [*(plan.kinds if plan.kinds != KINDS else ()), plan.interpolation_mode]
    return ", ".join([WIDEST, *(word for word in own if word != Options.interpolation_mode)])


def priced_anew(plan: StageCache, stages: StageMap, *, layers: int) -> list[int]:
    """Phases that take otherwise than the target's: scales that reuse, which a forced one does in every layer; phase 0 comes
    before scale 0."""
    found = plan.planned(stages, layers)
    return [1 + k for k in range(len(stages.tokens)) if any(found.reused(kind, k) for kind in KINDS)]


def predicted(whole: Sequence[float], computed: np.ndarray, served: np.ndarray, *, own: Sequence[int]) -> list[float]:
    """Seconds of every round: the target's whole, with its own phases as they are served."""
    spared = (computed - served)[:, list(own)].sum(1)
    return [seconds - float(less) for seconds, less in zip(whole, spared, strict=True)]


def mac_ceiling(plan: StageCache, cost: Cost) -> float:
    """Speed-up that multiply-accumulates would allow, head and decoder included."""
    return (sum(cost.macs) + cost.decode_macs) / (plan.foreseen(cost, {}).macs + cost.decode_macs)


def parts_of(phases: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Seconds of every phase in these arms."""
    out: dict[str, Any] = {}
    for arm, rounds in phases.items():
        first, *scales, last = rounds.T.tolist()
        named = {"begin": first} | {f"scale {k}": each for k, each in enumerate(scales)} | {"picture": last}
        out |= {f"{name}: {arm}": summary(each) | {"rounds": each} for name, each in named.items()}
    return out
