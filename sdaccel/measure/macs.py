"""Analytic price of a call, counted on the meta device: nothing is allocated and nothing is computed."""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode


def forward_macs(call: Callable[[], Any]) -> float:
    """MACs of matrix products, convolutions and attention inside `call`."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() / 2


class _Counter(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


def operator_calls(call: Callable[[], Any]) -> int:
    """Operators launched inside `call`: what an eager run pays for beside its arithmetic."""
    with torch.no_grad(), _Counter() as counter:
        call()
    return counter.count
