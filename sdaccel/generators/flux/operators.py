"""What a backend is to one generation: operators that took the place of the model's, which may remember earlier forwards."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import torch
from torch import Tensor


class Operators(Protocol):
    """Made by a backend's `attached(model, grid=..., seeds=...)`, and gone with the generation."""

    order: Tensor | None
    """(L,) places of the image tokens in the grid, in the order in which the model shall get them; None: row by row."""

    @property
    def exact(self) -> bool:
        """The last real forward left nothing out: its features may enter differences."""
        ...

    def forward(self, step: int) -> AbstractContextManager[None]:
        """Around every real forward of the whole model; a step that is forecast never enters it."""
        ...


@contextmanager
def real_forward(operators: Operators | None, step: int) -> Iterator[None]:
    if operators is None:
        yield
        return
    with operators.forward(step):
        yield


def in_order(x: Tensor, order: Tensor | None, *, dim: int = 0) -> Tensor:
    """Tokens as the model gets them."""
    return x if order is None else x.index_select(dim, order)


def in_rows(x: Tensor, order: Tensor | None, *, dim: int = 0) -> Tensor:
    """Tokens row by row again."""
    return x if order is None else torch.empty_like(x).index_copy_(dim, order, x)
