"""What a backend is to one generation: attention and MLP of layers computed in another way, with memory of earlier forwards.

Layers are numbered from the first double block to the last single block. How an engine comes to call these operators is its own
business: see `engine`.
"""

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Weights(NamedTuple):
    """Of an MLP gelu(x W1' + b1) W2' + b2."""

    w1: Tensor
    b1: Tensor
    w2: Tensor
    b2: Tensor


class Operators(Protocol):
    """Made by a backend's `start`, and gone with the generation."""

    order: Tensor | None
    """(L,) places of the image tokens in the grid, in the order in which the model shall get them; None: row by row."""

    @property
    def exact(self) -> bool:
        """The last real forward left nothing out: its features may enter differences."""
        ...

    def layers_of(self, half: str) -> Collection[int]:
        """Layers whose `attn` or `mlp` they compute; the others stay the model's."""
        ...

    def forward(self, step: int) -> AbstractContextManager[None]:
        """Around every real forward of the whole model; a step that is forecast never enters it."""
        ...

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """(B, H, N, d), text tokens first, after norms and rope."""
        ...

    def feed_forward(self, layer: int, x: Tensor, weights: Weights) -> Tensor:
        """(B, M, D): image tokens of a double block, all tokens of a single one."""
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
