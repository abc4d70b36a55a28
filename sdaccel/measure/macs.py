"""Analytic multiply-accumulates, counted on the meta device: nothing is allocated and nothing is computed."""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode


def forward_macs(call: Callable[[], Any]) -> float:
    """MACs of matrix products, convolutions and attention inside `call`."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() / 2
