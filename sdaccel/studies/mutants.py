"""Bugs that were really shipped, as negative controls: a check that none of them trips proves nothing.

Each is a context manager (runtime, strategy) -> strategy that plants one bug and leaves the model as it found it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from sdaccel.generators.flux.operators import Operators
from sdaccel.generators.flux.seam import FluxSeam
from sdaccel.strategies.column_sparse.operators import SparseOperators
from sdaccel.strategies.column_sparse.state import MlpState
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


class MissedTicks:
    """Operators that are told of 76 sublayers of a step that has 114."""

    def __init__(self, operators: Operators) -> None:
        self.operators = operators
        self.order = operators.order
        self.forwards = 0

    @property
    def exact(self) -> bool:
        return self.operators.exact

    def forward(self, step: int) -> AbstractContextManager[None]:
        counted = self.forwards * 76 // 114
        self.forwards += 1
        return self.operators.forward(counted)


@contextmanager
def missed_ticks(runtime: Any, strategy: Forecast) -> Iterator[Forecast]:
    """A cached branch that calls the dense MLP and leaves the sparse one's counter behind: two steps count where three ran."""

    class Missed(type(strategy)):  # type: ignore[misc]
        def start(self, seam: FluxSeam, *, steps: int) -> Any:
            seam.operators = seam.operators and MissedTicks(seam.operators)
            return super().start(seam, steps=steps)

    yield _remake(Missed, strategy)


class LiveOutput(MlpState):
    """Hands out the sum that its next sparse step adds to."""

    def published(self, dtype: torch.dtype) -> Tensor:
        assert self.output is not None
        return self.output.to(dtype)


class ReferenceRing(AnchorRing):
    """Slots hold the emitted tensors themselves."""

    def __init__(self, capacity: int, names: Sequence[str]) -> None:
        super().__init__(capacity, names)
        self.held: dict[tuple[int, str], Tensor] = {}

    def write(self, name: str, feature: Tensor) -> None:
        super().write(name, feature)
        self.held[self.slots[0], name] = feature

    @property
    def memory(self) -> Tensor:
        return torch.stack([torch.stack([self.held[slot, name] for name in self.names]) for slot in range(len(self.steps))])


@contextmanager
def aliased_cache(runtime: Any, strategy: Forecast) -> Iterator[Forecast]:
    """The sparse MLP returns its own cache and anchors refer to it: every anchor becomes the newest, all differences 0."""

    class Aliased(type(strategy)):  # type: ignore[misc]
        def ring(self, names: Sequence[str]) -> AnchorRing:
            return ReferenceRing(self.max_order + 1, names)

        def start(self, seam: FluxSeam, *, steps: int) -> Any:
            if isinstance(seam.operators, SparseOperators):
                seam.operators.mlp_state = LiveOutput
            return super().start(seam, steps=steps)

    yield _remake(Aliased, strategy)


@contextmanager
def sparse_deltas(runtime: Any, strategy: Forecast) -> Iterator[Forecast]:
    """Anchors of sparse steps are differenced like any other: what sparsity left out is extrapolated."""

    class Careless(type(strategy)):  # type: ignore[misc]
        def ring(self, names: Sequence[str]) -> AnchorRing:
            ring: AnchorRing = super().ring(names)
            honest = ring.close

            def close(*, exact: bool) -> None:
                honest(exact=True)

            ring.close = close  # type: ignore[method-assign]
            return ring

    yield _remake(Careless, strategy)


@contextmanager
def leaked_state(runtime: Any, strategy: Forecast) -> Iterator[Forecast]:
    """The counter is not reset and the caches are not cleared: the next image begins sparse, on those of the last one."""
    last: list[SparseOperators] = []

    class Leaking(type(strategy)):  # type: ignore[misc]
        def start(self, seam: FluxSeam, *, steps: int) -> Any:
            operators = seam.operators
            if isinstance(operators, SparseOperators):
                for before in last:
                    operators.plan, operators.attention, operators.mlp = before.plan, before.attention, before.mlp
                last[:] = [operators]
            return super().start(seam, steps=steps)

    yield _remake(Leaking, strategy)


@contextmanager
def naive_stack(runtime: Any, strategy: Forecast) -> Iterator[Forecast]:
    """HiCache put onto Chipmunk as it was: every one of these bugs at once."""
    with ExitStack() as stack:
        for mutant in (missed_ticks, leaked_state, aliased_cache, sparse_deltas):  # the last one's `start` runs first
            strategy = stack.enter_context(mutant(runtime, strategy))
        yield strategy


MUTANTS: dict[str, Callable[[Any, Forecast], AbstractContextManager[Forecast]]] = {
    mutant.__name__: mutant
    for mutant in (
        *(sign_flip, aliased_anchor, stale_anchor, dropped_norm),
        *(missed_ticks, aliased_cache, sparse_deltas, leaked_state, naive_stack),
    )
}
