"""Planted bugs of forecasting strategies: a check that none of them trips proves nothing."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from typing import Any

from torch import Tensor, nn

from sdaccel.generators.flux.seam import DenoiseSeam
from sdaccel.strategies.controls import mutant
from sdaccel.strategies.forecast.anchors import AnchorRing
from sdaccel.strategies.forecast.base import Forecast
from sdaccel.strategies.forecast.rule import ForecastRule

planted = partial(mutant, of=Forecast, needs="a forecasting strategy")


def remade(cls: type, strategy: Forecast) -> Forecast:
    """The strategy's options in another class."""
    return cls(**{f.name: getattr(strategy, f.name) for f in fields(strategy)})


def misplaced(strategy: Forecast, wrong: Callable[[list[float], float], tuple[list[float], float]]) -> Forecast:
    """The strategy whose forecasts take anchors and step for where they are not: `wrong` gets and gives their positions."""

    class Misplaced(type(strategy)):  # type: ignore[misc]
        def start(self, seam: DenoiseSeam, *, steps: int) -> ForecastRule:
            rule: ForecastRule = super().start(seam, steps=steps)
            honest = rule.positions
            rule.positions = lambda step: wrong(*honest(step))  # type: ignore[method-assign]
            return rule

    return remade(Misplaced, strategy)


@planted()
@contextmanager
def sign_flip(runtime: Any, strategy: Forecast) -> Iterator[Forecast]:
    """Polynomials evaluated at -k: the paper's time runs down, a port took its formula with time running up."""
    yield misplaced(strategy, lambda anchors, at: (anchors, 2 * anchors[0] - at))


@planted()
@contextmanager
def frozen_k(runtime: Any, strategy: Forecast) -> Iterator[Forecast]:
    """Polynomials evaluated at k = 1, however long ago the last full step was."""
    yield misplaced(strategy, lambda anchors, at: (anchors, anchors[0] + 1))


@planted()
@contextmanager
def undivided(runtime: Any, strategy: Forecast) -> Iterator[Forecast]:
    """Differences of anchors not divided by their spacing: each lies one step behind the next."""
    yield misplaced(strategy, lambda anchors, at: ([anchors[0] - j for j in range(len(anchors))], at))


class SharedBufferRing(AnchorRing):
    """Every slot is the one buffer the operator writes its output to."""

    def begin(self, step: int) -> None:
        super().begin(step)
        self._kept[0].slot = 0

    @property
    def memory(self) -> Tensor:
        return super().memory[:1].expand(len(self.steps), -1, -1, -1, -1)


@planted()
@contextmanager
def aliased_anchor(runtime: Any, strategy: Forecast) -> Iterator[Forecast]:
    """Anchors by reference to an output buffer that is reused: all differences collapse to 0."""

    class Aliased(type(strategy)):  # type: ignore[misc]
        def ring(self, names: Sequence[str]) -> AnchorRing:
            return SharedBufferRing(self.max_order + 1, names)

    yield remade(Aliased, strategy)


@planted()
@contextmanager
def stale_anchor(runtime: Any, strategy: Forecast) -> Iterator[Forecast]:
    """Anchors that outlive their image: the next one starts with a full ladder of another picture."""
    shared: list[AnchorRing] = []

    class Stale(type(strategy)):  # type: ignore[misc]
        def ring(self, names: Sequence[str]) -> AnchorRing:
            if not shared:
                shared.append(super().ring(names))
            return shared[0]

    yield remade(Stale, strategy)


@planted()
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
