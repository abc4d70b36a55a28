"""The features of the last full steps, copied, and their weighted sums."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class _Slot:
    """One full step: memory by feature name, and the names written since the slot was opened."""

    step: int
    memory: dict[str, Tensor] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)


class AnchorRing:
    """Raw anchors of the last `capacity` full steps; a model that reuses its output buffers cannot change them."""

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"an anchor ring of capacity {capacity} cannot hold the step it forecasts from")
        self.capacity = capacity
        self._slots: deque[_Slot] = deque()  # newest first

    def begin(self, step: int) -> None:
        """Open the slot of a new full step, in the memory of the oldest one when all are taken."""
        full = len(self._slots) == self.capacity
        self._slots.appendleft(_Slot(step, self._slots.pop().memory if full else {}))

    def write(self, name: str, feature: Tensor) -> None:
        """Copy a feature into the open slot."""
        slot = self._slots[0]
        memory = slot.memory.get(name)
        if memory is None:
            memory = slot.memory[name] = torch.empty(feature.shape, dtype=feature.dtype, device=feature.device)
        elif (memory.shape, memory.dtype) != (feature.shape, feature.dtype):  # copy_ would broadcast or cast in silence
            raise ValueError(f"feature {name} changed from {memory.shape} {memory.dtype} to {feature.shape} {feature.dtype}")
        memory.copy_(feature.detach())
        slot.written.add(name)

    @property
    def steps(self) -> list[int]:
        """The full steps held, newest first."""
        return [slot.step for slot in self._slots]

    def anchors(self, name: str) -> list[Tensor]:
        """The feature at every held step, newest first: the ring's own memory, to read only."""
        for slot in self._slots:
            if name not in slot.written:
                raise KeyError(f"feature {name} was not written at step {slot.step}")
        return [slot.memory[name] for slot in self._slots]

    @property
    def nbytes(self) -> int:
        return sum(kept.nbytes for slot in self._slots for kept in slot.memory.values())


def weighted_sum(anchors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """sum_j w_j A_j as a new tensor in float32 (float64 for float64): weights of both signs cancel, so half is too coarse."""
    dtype = torch.promote_types(anchors[0].dtype, torch.float32)
    total = torch.zeros_like(anchors[0], dtype=dtype)
    for anchor, weight in zip(anchors, weights, strict=True):
        total.add_(anchor, alpha=weight)
    return total
