"""Memory of a GPU: what a process cannot give back, and what a call takes at its worst moment."""

from collections.abc import Callable
from typing import Any

import torch


def held(device: torch.device) -> int:
    """Bytes taken from a GPU that cannot be given back, the working memory of graphs included; 0 on a CPU."""
    if device.type != "cuda":
        return 0
    torch.cuda.synchronize(device)
    torch.cuda.empty_cache()
    return torch.cuda.memory_reserved(device)


def bytes_left(call: Callable[[], Any], device: torch.device) -> int:
    """What a first call keeps allocated."""
    before = held(device)
    call()
    return held(device) - before
