"""Where a call's time goes: the GPU kernels that take most of it, or the operators where there is no GPU."""

from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from sdaccel.measure.floor import synchronize

LONGEST_NAME = 100


def busiest(call: Callable[[], Any], device: torch.device, *, count: int) -> list[dict[str, Any]]:
    """Seconds, runs and share of the device's own time, of one call that is warm; kernels of one name together."""
    on_gpu = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as seen:
        call()
        synchronize(device)
    spent = [(e.key, e.self_device_time_total if on_gpu else e.self_cpu_time_total, e.count) for e in seen.key_averages()]
    total = sum(microseconds for _, microseconds, _ in spent)
    return [
        {"name": name[:LONGEST_NAME], "seconds": microseconds / 1e6, "runs": runs, "share": microseconds / total}
        for name, microseconds, runs in sorted(spent, key=lambda row: -row[1])[:count]
    ]
