"""Memory that an arm needs of a GPU when it is there alone. On a CPU nothing counts it: None."""

import gc
from collections.abc import Callable
from typing import Any

import torch


def alone(make: Callable[[], Callable[[], Any]], device: torch.device) -> int | None:
    """Bytes at the worst moment of a call that is warm: models, what the arm keeps between calls, pools of graphs, the call.

    `make` builds everything anew and gives the call, so that nothing is there which an earlier call left. What was on the GPU
    before counts for nothing, and what the process keeps for good since the arm's first call is there before it is built here:
    run the arm once before, and it has the same figure each time. Bytes are those asked for; rounding depends on history.
    """
    if device.type != "cuda":
        return None
    before = _in_use(device)
    call = make()
    call()  # compiles, records graphs, fills what is kept
    _emptied(device)
    torch.cuda.reset_peak_memory_stats(device)
    call()
    torch.cuda.synchronize(device)
    return _requested(device, "peak") + _idle(device) - before


def _in_use(device: torch.device) -> int:
    _emptied(device)
    return _requested(device, "current") + _idle(device)


def _emptied(device: torch.device) -> None:
    """Without garbage, caches and the workspaces of products, which whoever multiplies first makes for all."""
    gc.collect()
    torch.cuda.synchronize(device)
    torch._C._cuda_clearCublasWorkspaces()
    torch.cuda.empty_cache()


def _requested(device: torch.device, when: str) -> int:
    return int(torch.cuda.memory_stats(device).get(f"requested_bytes.all.{when}", 0))  # none where nothing was ever there


def _idle(device: torch.device) -> int:
    """What graphs keep to work in: dead between replays, so no tensor counts it, and nobody else can have it."""
    index = torch.cuda.current_device() if device.index is None else device.index
    pools = [s for s in torch.cuda.memory_snapshot() if s["device"] == index and tuple(s["segment_pool_id"]) != (0, 0)]
    return sum(int(segment["total_size"]) - int(segment["allocated_size"]) for segment in pools)
