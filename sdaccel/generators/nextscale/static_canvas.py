"""The canvas of a generation whose memory stays in place, as captured graphs need it."""

import torch
from torch import Tensor
from torch.nn import functional as F

from sdaccel.generators.nextscale.canvas import Canvas, PhiBank
from sdaccel.generators.nextscale.layout import Layout


def bicubic(side: int, *, like: Tensor) -> Tensor:
    """What `enlarge` does to the rows of a (side, side) map, as a matrix (full, side)."""
    columns = torch.eye(side, dtype=like.dtype, device=like.device).view(1, side, side, 1)
    return F.interpolate(columns, size=(like.shape[-1], 1), mode="bicubic")[0, :, :, 0].T.contiguous()


class StaticCanvas(Canvas):
    """`Canvas` whose states are slots of one buffer, so that a captured graph finds each where it was."""

    def __init__(self, *, phi: PhiBank, layout: Layout, empty: Tensor) -> None:
        super().__init__(phi=phi, layout=layout, empty=empty)
        self.slots = self.f_hat.new_empty(layout.scales + 1, *empty.shape)
        self.slots[0] = self.f_hat
        self.states = [self.slots[0]]
        self.bicubic = {side: bicubic(side, like=self.f_hat) for side in layout.patch_nums if side != layout.side}

    def enlarged(self, features: Tensor) -> Tensor:
        """Two small products: the kernel of `interpolate` lets one thread walk over all maps of a batch."""
        matrix = self.bicubic.get(features.shape[-1])
        return features if matrix is None else matrix @ features @ matrix.T

    def paint(self, codes: Tensor) -> None:
        """Write the slot behind the current one; `count` makes it the current one."""
        torch.add(self.f_hat, self.contribution(codes), out=self.slots[self.scale + 1])

    def count(self) -> None:
        self.states.append(self.slots[self.scale + 1])

    def _write(self, index: int, state: Tensor, rows: Tensor | None) -> None:
        if index == len(self.states):
            self.states.append(self.slots[index])
        if rows is None:
            self.slots[index].copy_(state)
        else:
            self.slots[index].index_copy_(0, rows, state.index_select(0, rows))

    def add(self, codes: Tensor) -> None:
        self.paint(codes)
        self.count()
