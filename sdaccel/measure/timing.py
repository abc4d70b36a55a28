"""How long a call takes, arms in turn: the one timing function of the project."""

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def interleaved(
    calls: Mapping[str, Callable[[], Any]], *, warmup: int, repeats: int, device: torch.device
) -> dict[str, list[float]]:
    """Seconds of every timed call, A B A B ...: drift of the machine falls on all arms alike."""
    for _ in range(warmup):
        for call in calls.values():
            call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    with long_lived():
        for _ in range(repeats):
            for name, call in calls.items():
                seconds[name].append(_time(call, device))
    return seconds


@contextmanager
def long_lived() -> Iterator[None]:
    """Objects that exist now are not searched for garbage inside: compilers leave millions, and a search can hit any arm."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _time(call: Callable[[], Any], device: torch.device) -> float:
    if device.type != "cuda":
        start = time.perf_counter()
        call()
        return time.perf_counter() - start
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1000


def peak_memory(call: Callable[[], Any], device: torch.device) -> int | None:
    """Bytes a call allocates on the GPU at its worst moment, beside what was there; None on a CPU."""
    if device.type != "cuda":
        return None
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    call()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


def summary(seconds: Sequence[float]) -> dict[str, float]:
    p10, p50, p90 = np.percentile(seconds, [10, 50, 90])
    return {"p10": float(p10), "p50": float(p50), "p90": float(p90), "n": len(seconds)}


def speedups(baseline: Sequence[float], other: Sequence[float]) -> dict[str, float]:
    """Ratio of paired rounds, so that a slow round weighs on both sides."""
    return summary([b / o for b, o in zip(baseline, other, strict=True)])
