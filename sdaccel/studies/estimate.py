"""What a study would do and need, before anything heavy starts."""

import os
import time
from bisect import bisect_right
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from sdaccel.conditions import batches
from sdaccel.errors import BadInput
from sdaccel.generators.base import torch_dtype
from sdaccel.studies.arms import Arm, Price, prices
from sdaccel.studies.compose import Plan
from sdaccel.studies.content import run_id
from sdaccel.studies.runner import device_of, run_folder, sample_folders

MIB = 2**20
LONG = 100
"""Steps from which a plan is not drawn whole."""


def describe(plan: Plan, console: Console) -> None:
    """Arms with their plans, then images, memory, disk and time."""
    device, timing = device_of(plan.cfg), plan.cfg.study.timing
    if device.type == "cpu":
        torch.set_num_threads(plan.cfg.trainer.threads)
    folders = sample_folders(plan)
    rate, overhead = machine_rate(device)
    priced = prices(plan.arms)
    processes = plan.cfg.trainer.processes or torch.cuda.device_count() or 2
    total = {"todo": 0, "seconds": 0.0, "bytes": 0.0}
    for arm in plan.arms:
        missing = batches(
            plan.conditions, seed=plan.cfg.seed, size=plan.cfg.data.batch_size, done=folders[arm.name].done(plan.conditions)
        )
        todo = sum(len(batch.wanted) for batch in missing)
        needs = arm_needs(
            arm,
            priced[arm.name],
            batch_size=plan.cfg.data.batch_size,
            keep=arm.kept(plan.cfg.study.keep),
            rate=rate,
            overhead=overhead,
        )
        total["todo"] += todo
        alone = 2 if device.type == "cuda" else 0  # calls for its memory
        timed = timing.warmup + timing.repeats + alone if arm.timed and timing.repeats else 0
        total["seconds"] += needs["seconds"] * len(missing) / processes + needs["seconds"] * timed
        total["bytes"] += needs["disk"] * todo
        memory = arm_memory(arm, priced[arm.name], batch_size=plan.cfg.data.batch_size)
        console.print(f"{arm.name}: {draw_plan(arm, priced[arm.name])}, {todo} images, {memory / MIB:,.0f} MiB")
    memory = peak_memory(plan, priced, batch_size=plan.cfg.data.batch_size)
    console.print(f"study {run_id(plan)} -> {run_folder(plan)}")
    console.print(
        f"{len(plan.arms)} arms · {total['todo']:,.0f} images to generate on {device}, {plan.cfg.data.batch_size} a batch · "
        f"peak memory about {memory / MIB:,.0f} MiB a process beside libraries · "
        f"disk about {total['bytes'] / MIB:,.1f} MiB · "
        f"time about {total['seconds']:,.0f} s beside imports and the making of weights"
    )


def check_fits(plan: Plan) -> None:
    """Raise BadInput for a study that this machine has not the memory for, with the largest batch that it has."""
    device, asked, priced = device_of(plan.cfg), plan.cfg.data.batch_size, prices(plan.arms)
    processes = 1 if device.type == "cuda" else plan.cfg.trainer.processes or 2
    there = machine_bytes(device) / processes
    if (needs := peak_memory(plan, priced, batch_size=asked)) <= there:
        return
    fits = bisect_right(range(1, asked), there, key=lambda size: peak_memory(plan, priced, batch_size=size))
    way = f"data.batch_size={fits} is the largest that fits" if fits else "not even one sample fits; choose a smaller model"
    raise BadInput(
        f"data.batch_size={asked} needs about {needs / MIB:,.0f} MiB a process and there are {there / MIB:,.0f} MiB; {way}."
    )


def machine_bytes(device: torch.device) -> float:
    """Memory of the device, or of this machine as far as it may be used."""
    if device.type == "cuda":
        return float(torch.cuda.get_device_properties(device).total_memory)
    bound = Path("/sys/fs/cgroup/memory.max")
    limit = bound.read_text().strip() if bound.is_file() else "max"
    return min(float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")), float("inf" if limit == "max" else limit))


def peak_memory(plan: Plan, priced: Mapping[str, Price], *, batch_size: int) -> float:
    """Bytes of a process, at the arm that needs most; the timing pass holds every model at once."""
    peak = max(arm_memory(arm, priced[arm.name], batch_size=batch_size) for arm in plan.arms)
    if not plan.cfg.study.timing.repeats:
        return peak
    models: dict[str, int] = {}
    for arm in plan.arms:
        costs = zip(arm.configs.values(), priced[arm.name].models, strict=True)
        models |= {repr(config): cost.weight_bytes for config, cost in costs}
    return peak + sum(models.values()) - max(models.values())


def arm_memory(arm: Arm, price: Price, *, batch_size: int) -> float:
    """Bytes of its models and of a batch: a rough upper figure."""
    cost, itemsize = price.generator, torch_dtype(arm.generator.dtype).itemsize
    state = cost.state_bytes + arm.strategy.state_bytes(cost, itemsize)
    state += arm.backend.state_bytes(arm.generator, itemsize)
    beside = sum(other.state_bytes for other in price.beside.values())
    return sum(c.weight_bytes for c in price.models) + batch_size * (state + beside)


def draw_plan(arm: Arm, price: Price) -> str:
    """`FFF....F....F` with counts, F in full and p in part; or what is expected where samples decide for themselves."""
    if foreseen := arm.strategy.foreseen(price.generator, price.beside):
        return foreseen.says
    kinds = arm.strategy.plan(arm.generator.steps)
    if not kinds:
        return "no steps"
    drawn = "".join({"full": "F", "partial": "p"}.get(kind, ".") for kind in kinds)
    drawn = drawn if len(drawn) <= LONG else f"{drawn[: LONG // 2]} to {drawn[-3:]}"
    pace = f", {said}" if (said := getattr(arm.generator, "pace", "")) else ""
    return f"{drawn} {kinds.count('full')}/{len(kinds)} full{pace}"


def arm_needs(arm: Arm, price: Price, *, batch_size: int, keep: list[str], rate: float, overhead: float) -> dict[str, float]:
    """Bytes of disk per image, seconds per batch; rough on purpose, within a small factor."""
    cost, others = price.generator, list(price.beside.values())
    run = [macs for macs in cost.macs_of(arm.strategy.plan(arm.generator.steps)) if macs]
    run += [macs for other in others for macs in other.macs]  # a second model may run every scale, too
    foreseen = arm.strategy.foreseen(cost, price.beside)
    macs = foreseen.macs if foreseen else sum(run)
    images = (1 + arm.images_before) * (2 if arm.observers else 1)  # a watched step is about twice as dear
    return {
        "disk": cost.image_bytes + (4 * cost.image_bytes * (arm.generator.steps + 1) if keep else 0),
        "seconds": images * (batch_size * (macs + cost.decode_macs) / rate + len(run) * cost.calls * overhead),
    }


def machine_rate(device: torch.device) -> tuple[float, float]:
    """(multiply-accumulates per second of a matrix product, seconds of one small operator) on this machine, in 0.2 s."""
    side = 512 if device.type == "cpu" else 4096
    a = torch.randn(side, side, device=device)
    layer = torch.nn.Linear(16, 16, device=device)  # as a module: Python's share counts
    small = torch.randn(16, 16, device=device)
    return side**3 / _best(lambda: a @ a, device), _best(lambda: layer(small), device)


def _best(call: Any, device: torch.device) -> float:
    times = []
    for _ in range(20):
        start = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times)
