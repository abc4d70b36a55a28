"""Seconds or peak memory of named stages of a script."""

import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from sdaccel.compat.sdvar_arguments import device_of
from sdaccel.measure.floor import synchronize
from sdaccel.measure.timing import summary


@dataclass
class SDVARProfiler:
    """The device is waited for at both ends of a stage: a GPU returns before its work is done."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    memory: bool = False
    """Measure peak bytes instead of seconds, which the watching of a CPU would make longer."""
    seconds: dict[str, list[float]] = field(default_factory=dict)
    peaks: dict[str, list[int]] = field(default_factory=dict)
    """Bytes at the worst moment beside those held when the stage began. On a GPU by its allocator; on a CPU the tensors that
    operators made, without what an operator needs inside."""

    def __post_init__(self) -> None:
        self.device = device_of(self.device)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        with self._bytes(name) if self.memory else self._seconds(name):
            yield

    @contextmanager
    def _seconds(self, name: str) -> Iterator[None]:
        synchronize(self.device)
        start = time.perf_counter()
        yield
        synchronize(self.device)
        self.seconds.setdefault(name, []).append(time.perf_counter() - start)

    @contextmanager
    def _bytes(self, name: str) -> Iterator[None]:
        if self.device.type == "cpu":
            with TensorBytes() as made:
                yield
            peak = made.peak
        else:
            synchronize(self.device)
            torch.cuda.reset_peak_memory_stats(self.device)
            before = torch.cuda.memory_allocated(self.device)
            yield
            synchronize(self.device)
            peak = torch.cuda.max_memory_allocated(self.device) - before
        self.peaks.setdefault(name, []).append(peak)

    def summary(self) -> dict[str, dict[str, float]]:
        """Of every stage p10, p50, p90 of its seconds, or its highest peak in bytes; and how often it ran, n."""
        timed = {name: summary(seconds) for name, seconds in self.seconds.items()}
        return timed | {name: {"peak_bytes": max(peaks), "n": len(peaks)} for name, peaks in self.peaks.items()}


class TensorBytes(TorchDispatchMode):
    """Counts the storages that operators return, each from its making to its end."""

    def __init__(self) -> None:
        super().__init__()
        self.alive = self.peak = 0
        self._known = WeakIdKeyDictionary()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for storage in _storages((args, kwargs)):
            self._known.setdefault(storage, None)  # what was there before the stage is not its doing, nor are views of it
        out = func(*args, **(kwargs or {}))
        for storage in _storages(out):
            if storage not in self._known:
                self._known[storage] = None
                self._count(storage.nbytes())
                weakref.finalize(storage, self._count, -storage.nbytes())
        return out

    def _count(self, size: int) -> None:
        self.alive += size
        self.peak = max(self.peak, self.alive)


def _storages(tree: Any) -> list[torch.UntypedStorage]:
    return [leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
