"""How long a call takes, arms in turn: the one timing function of the project."""

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class Rounds:
    """What the clock said."""

    seconds: dict[str, list[float]]
    """By arm, one entry per round."""
    order: list[list[int]]
    """Of every round, its arms as they ran, by their place among the arms."""


def interleaved(
    calls: Mapping[str, Callable[[], Any]],
    *,
    warmup: int,
    repeats: int,
    device: torch.device,
    seed: int = 0,
    done: Callable[[str], None] = lambda name: None,
) -> Rounds:
    """Every arm once per round: drift of the machine falls on all alike, and no arm is always after the same other one.

    `done` is told of every call, while no clock runs.
    """
    names, rng = list(calls), np.random.default_rng(seed)
    for _ in range(warmup):
        for i in rng.permutation(len(names)):
            calls[names[i]]()
            done(names[i])
    order = [rng.permutation(len(names)).tolist() for _ in range(repeats)]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with long_lived():
        for turns in order:
            for i in turns:
                seconds[names[i]].append(_time(calls[names[i]], device))
                done(names[i])
    return Rounds(seconds, order)


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


def summary(seconds: Sequence[float]) -> dict[str, float]:
    p10, p50, p90 = np.percentile(seconds, [10, 50, 90])
    return {"p10": float(p10), "p50": float(p50), "p90": float(p90), "n": len(seconds)}
