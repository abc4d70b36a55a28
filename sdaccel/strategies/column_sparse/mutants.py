"""Planted bugs of the wiring between forecasts and sparse operators: what turned a stack of both into coloured noise."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sdaccel.generators.flux.seam import FluxSeam
from sdaccel.strategies.column_sparse.operators import SparseOperators
from sdaccel.strategies.column_sparse.options import ColumnSparse
from sdaccel.strategies.column_sparse.state import MlpState
from sdaccel.strategies.controls import mutant
from sdaccel.strategies.forecast.anchors import AnchorRing
from sdaccel.strategies.forecast.base import Forecast
from sdaccel.strategies.forecast.mutants import remade

planted = partial(mutant, of=Forecast, needs="a forecasting strategy", backend=ColumnSparse)


class MissedTicks(SparseOperators):
    """Told of 76 sublayers of a step that has 114."""

    forwards = 0

    @contextmanager
    def forward(self, step: int) -> Iterator[None]:
        counted = self.forwards * 76 // 114
        self.forwards += 1
        with super().forward(counted):
            yield


@planted()
@contextmanager
def missed_ticks(runtime: Any, strategy: Forecast) -> Iterator[Forecast]:
    """A cached branch that calls the dense MLP and leaves the sparse one's counter behind: two steps count where three ran."""

    class Missed(type(strategy)):  # type: ignore[misc]
        def start(self, seam: FluxSeam, *, steps: int) -> Any:
            if isinstance(seam.operators, SparseOperators):
                seam.operators.__class__ = MissedTicks
            return super().start(seam, steps=steps)

    yield remade(Missed, strategy)


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


@planted()
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

    yield remade(Aliased, strategy)


@planted()
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

    yield remade(Careless, strategy)


@planted()
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

    yield remade(Leaking, strategy)


@planted()
@contextmanager
def naive_stack(runtime: Any, strategy: Forecast) -> Iterator[Forecast]:
    """HiCache put onto Chipmunk as it was: every one of these bugs at once."""
    with ExitStack() as stack:
        for mutant in (missed_ticks, leaked_state, aliased_cache, sparse_deltas):  # the last one's `start` runs first
            strategy = stack.enter_context(mutant(runtime, strategy))
        yield strategy
