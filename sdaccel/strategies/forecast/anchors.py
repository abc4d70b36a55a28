"""The features of the last full steps, copied: slots that are overwritten in turn, oldest first."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class _Kept:
    """One full step: where it lies, and the names written since it was opened."""

    step: int
    slot: int
    exact: bool = True
    written: set[str] = field(default_factory=set)


class AnchorRing:
    """Raw anchors of the last `capacity` full steps in one block of memory, so that one pass can read them all.

    Copies, never views: a model that reuses its output buffers cannot change them. J slots · F features · B rows.

    An anchor that a sparse backend left inexact may be held but not differenced, which would amplify what it lacks: it gives
    way to the next one, so that only the newest can be inexact.
    """

    def __init__(self, capacity: int, names: Sequence[str], *, dtype: torch.dtype | None = None, offload: bool = False) -> None:
        """`dtype` None keeps the features' own; `offload` keeps anchors in the host's memory, pinned where there is a GPU."""
        if capacity < 1:
            raise ValueError(f"an anchor ring of capacity {capacity} cannot hold the step it forecasts from")
        self.capacity = capacity
        self.names = list(names)
        self.dtype = dtype
        self.offload = offload
        self._memory: Tensor | None = None
        self._format: tuple[torch.Size, torch.dtype] | None = None
        self._kept: deque[_Kept] = deque()  # newest first

    def begin(self, step: int) -> None:
        """Open the slot of a new full step: that of an inexact one, a free one, or that of the oldest."""
        if self._kept and not self._kept[0].exact:
            slot = self._kept.popleft().slot
        else:
            slot = self._kept.pop().slot if len(self._kept) == self.capacity else len(self._kept)
        self._kept.appendleft(_Kept(step, slot))

    def close(self, *, exact: bool) -> None:
        """The full step is over; what it wrote may enter differences or not."""
        self._kept[0].exact = exact

    def write(self, name: str, feature: Tensor) -> None:
        """Copy a feature into the open slot."""
        if self._memory is None:
            self._format = feature.shape, feature.dtype
            self._memory = torch.empty(
                (self.capacity, len(self.names), *feature.shape),
                dtype=self.dtype or feature.dtype,
                device="cpu" if self.offload else feature.device,
                pin_memory=self.offload and feature.is_cuda,
            )
        if (feature.shape, feature.dtype) != self._format:  # copy_ would broadcast or cast in silence
            raise ValueError(f"feature {name} is {feature.shape} {feature.dtype} in a ring of {self._format}")
        kept = self._kept[0]
        self._memory[kept.slot, self.names.index(name)].copy_(feature.detach(), non_blocking=True)
        kept.written.add(name)

    @property
    def steps(self) -> list[int]:
        """The full steps held, newest first."""
        return [kept.step for kept in self._kept]

    @property
    def exact(self) -> bool:
        """The newest may enter differences, as all others may."""
        return self._kept[0].exact

    @property
    def slots(self) -> list[int]:
        """Slot of each held step, newest first."""
        return [kept.slot for kept in self._kept]

    @property
    def memory(self) -> Tensor:
        """(J, F, B, L, D) of the slots in use, in the order of the slots: the ring's own, to read only."""
        for kept in self._kept:
            if missing := set(self.names) - kept.written:
                raise KeyError(f"feature {min(missing)} was not written at step {kept.step}")
        if self._memory is None:
            raise KeyError("nothing was written")
        return self._memory[: len(self._kept)]

    def anchors(self, name: str) -> list[Tensor]:
        """The feature at every held step, newest first."""
        return [self.memory[slot, self.names.index(name)] for slot in self.slots]

    def by_slot(self, weights: Tensor) -> Tensor:
        """Weights (..., J, B) of the newest anchors, newest first, as weights of `memory`; unused slots get 0."""
        out = weights.new_zeros((*weights.shape[:-2], len(self._kept), weights.shape[-1]))
        return out.index_add_(-2, torch.tensor(self.slots[: weights.shape[-2]]), weights)
