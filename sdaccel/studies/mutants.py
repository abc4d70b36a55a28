"""Bugs that were really shipped, as negative controls: a check that none of them trips proves nothing.

Each is a context manager (runtime, strategy) -> strategy that plants one bug and leaves the model as it found it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields
from typing import Any

from torch import Tensor, nn

from sdaccel.strategies.forecast.anchors import AnchorRing
from sdaccel.strategies.forecast.base import Forecast


def _remake(cls: type, strategy: Forecast) -> Forecast:
    return cls(**{f.name: getattr(strategy, f.name) for f in fields(strategy)})


@contextmanager
def sign_flip(runtime: Any, strategy: Forecast) -> Iterator[Forecast]:
    """Polynomials evaluated at -k: the paper's time runs down, a port took its formula with time running up."""

    class Flipped(type(strategy)):  # type: ignore[misc]
        def coefficients(self, k: float, *, order: int) -> list[float]:
            return super().coefficients(-k, order=order)

    yield _remake(Flipped, strategy)


class SharedBufferRing(AnchorRing):
    """Every slot is the one buffer the operator writes its output to."""

    def begin(self, step: int) -> None:
        super().begin(step)
        self._kept[0].slot = 0

    @property
    def memory(self) -> Tensor:
        return super().memory[:1].expand(len(self.steps), -1, -1, -1, -1)


@contextmanager
def aliased_anchor(runtime: Any, strategy: Forecast) -> Iterator[Forecast]:
    """Anchors by reference to an output buffer that is reused: all differences collapse to 0."""

    class Aliased(type(strategy)):  # type: ignore[misc]
        def ring(self, names: Sequence[str]) -> AnchorRing:
            return SharedBufferRing(self.max_order + 1, names)

    yield _remake(Aliased, strategy)


@contextmanager
def stale_anchor(runtime: Any, strategy: Forecast) -> Iterator[Forecast]:
    """Anchors that outlive their image: the next one starts with a full ladder of another picture."""
    shared: list[AnchorRing] = []

    class Stale(type(strategy)):  # type: ignore[misc]
        def ring(self, names: Sequence[str]) -> AnchorRing:
            if not shared:
                shared.append(super().ring(names))
            return shared[0]

    yield _remake(Stale, strategy)


@contextmanager
def dropped_norm(runtime: Any, strategy: Forecast) -> Iterator[Forecast]:
    """A cached branch that forgot the normalisation of queries and keys."""
    attentions = [block.attn for block in runtime.transformer.transformer_blocks]
    kept = [(attn, attn.norm_q, attn.norm_k) for attn in attentions]
    for attn in attentions:
        attn.norm_q = attn.norm_k = nn.Identity()
    try:
        yield strategy
    finally:
        for attn, norm_q, norm_k in kept:
            attn.norm_q, attn.norm_k = norm_q, norm_k


MUTANTS: dict[str, Callable[[Any, Forecast], AbstractContextManager[Forecast]]] = {
    mutant.__name__: mutant for mutant in (sign_flip, aliased_anchor, stale_anchor, dropped_norm)
}
