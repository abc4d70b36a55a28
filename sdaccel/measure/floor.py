"""The least time a call can take: what must be moved at the machine's copy speed, multiplied at its matmul speed."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Work:
    """What one stage cannot do without; its loads and its products may overlap, stages follow each other."""

    bytes: float
    macs: float


@dataclass(frozen=True)
class Ceilings:
    """What this machine reaches on the plainest code."""

    bytes_per_second: float
    """Of a copy, read and written."""
    flop_per_second: float
    """Of one large matrix product."""

    def raised(self, other: "Ceilings") -> "Ceilings":
        """The higher of two measurements."""
        return Ceilings(
            bytes_per_second=max(self.bytes_per_second, other.bytes_per_second),
            flop_per_second=max(self.flop_per_second, other.flop_per_second),
        )


def floor(stages: Sequence[Work], ceilings: Ceilings) -> float:
    """Seconds."""
    return sum(max(s.bytes / ceilings.bytes_per_second, 2 * s.macs / ceilings.flop_per_second) for s in stages)


def ceilings(device: torch.device, dtype: torch.dtype) -> Ceilings:
    """Measured here and now, best of five."""
    gpu = device.type == "cuda"
    size, side = (2**30, 8192) if gpu else (2**26, 1024)
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    a = torch.randn(side, side, device=device).to(dtype)
    out = torch.empty_like(a)
    return Ceilings(
        bytes_per_second=2 * size / best(lambda: target.copy_(source), device),
        flop_per_second=2 * side**3 / best(lambda: torch.matmul(a, a, out=out), device),
    )


def best(call: Callable[[], Any], device: torch.device, *, repeats: int = 5) -> float:
    """Seconds of the fastest of several calls, the first one not counted."""
    call()
    seconds = []
    for _ in range(repeats):
        synchronize(device)
        start = time.perf_counter()
        call()
        synchronize(device)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
