"""Where a call's time goes: the GPU kernels that take most of it, or the operators where there is no GPU."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from sdaccel.measure.floor import synchronize

LONGEST_NAME = 100


@dataclass(frozen=True)
class Profile:
    """Of one call that is warm."""

    busy_seconds: float | None
    """The GPU's own time; None where there is none, as for the next."""
    launches: int | None
    kernels: list[dict[str, Any]]
    """Seconds, runs and share of that time, those of one name together, busiest first."""


def busiest(call: Callable[[], Any], device: torch.device, *, count: int) -> Profile:
    """It lists so many kernels, or operators where there is no GPU, and counts all kernels."""
    on_gpu = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as seen:
        call()
        synchronize(device)
    spent = [(e.key, e.self_device_time_total if on_gpu else e.self_cpu_time_total, e.count) for e in seen.key_averages()]
    total = sum(microseconds for _, microseconds, _ in spent)
    launches = sum(runs for _, microseconds, runs in spent if microseconds > 0)  # calls of the host take no time of the GPU
    kernels = [
        {"name": name[:LONGEST_NAME], "seconds": microseconds / 1e6, "runs": runs, "share": microseconds / total}
        for name, microseconds, runs in sorted(spent, key=lambda row: -row[1])[:count]
    ]
    return Profile(total / 1e6 if on_gpu else None, launches if on_gpu else None, kernels)
