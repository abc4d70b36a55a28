"""Bugs of speculative decoding, planted one at a time; the first three were shipped by SDVAR.

A generator and an equipped strategy go in, a context holds the strategy with its bug. Whatever is drafted, coupled speculation
makes the target's own tokens; so a bug in what the target reads, keeps or believes shows in `equal`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sdaccel.generators.nextscale.canvas import as_tokens, shrink
from sdaccel.generators.nextscale.seam import Pass, ScaleSeam
from sdaccel.strategies.base import Equipped
from sdaccel.strategies.controls import mutant
from sdaccel.strategies.speculative.base import Speculative
from sdaccel.strategies.speculative.decode import Speculation
from sdaccel.strategies.speculative.judge import Acceptance, Drafted

planted = partial(mutant, of=Speculative, needs="a speculative strategy")


def _judging(strategy: Equipped, judge: Callable[[Speculative, Drafted], Acceptance]) -> Equipped:
    """The strategy with another verdict."""

    class Judging(type(strategy.strategy)):  # type: ignore[misc]
        def judge(self, drafted: Drafted) -> Acceptance:
            return judge(super(), drafted)  # type: ignore[arg-type]

    return _remade(Judging, strategy)


def _decoding(strategy: Equipped, decoder: type[Speculation]) -> Equipped:
    """The strategy with another way through a round."""

    class Decoding(type(strategy.strategy)):  # type: ignore[misc]
        def start(self, seam: ScaleSeam, **options: Any) -> Speculation:
            made: Speculation = super().start(seam, **options)
            made.__class__ = decoder
            return made

    return _remade(Decoding, strategy)


def _remade(kind: Callable[..., Speculative], strategy: Equipped) -> Equipped:
    options = {f.name: getattr(strategy.strategy, f.name) for f in fields(strategy.strategy)}
    return replace(strategy, strategy=kind(**options))


@planted()
@contextmanager
def one_for_all(runtime: Any, strategy: Equipped) -> Iterator[Equipped]:
    """A scale stands for every image if it stands for half of them: acceptance is a mean over the batch."""

    def judge(honest: Speculative, drafted: Drafted) -> Acceptance:
        verdict = honest.judge(drafted)
        same = (drafted.tokens == drafted.own[0]).double().mean()  # over images and tokens, as SDVAR takes it
        return replace(verdict, stood=torch.full_like(verdict.stood, bool(same >= 0.5)))

    yield _judging(strategy, judge)


class AnswerLeak(Speculation):
    """The pass that verifies reads of every scale its own drafted codes, not the canvas before it."""

    def _pass(self, model: ScaleSeam, rows: list[int], *, first: int, last: int) -> dict[int, Pass]:
        canvas = self.seam.canvas
        honest = canvas.input_of

        def input_of(scale: int) -> Tensor:
            painted = first <= scale < last
            return as_tokens(shrink(canvas.states[scale + 1], canvas.layout.patch_nums[scale])) if painted else honest(scale)

        if model is self.seam:
            canvas.input_of = input_of  # type: ignore[method-assign]
        try:
            return super()._pass(model, rows, first=first, last=last)
        finally:
            canvas.__dict__.pop("input_of", None)


@planted()
@contextmanager
def answer_leak(runtime: Any, strategy: Equipped) -> Iterator[Equipped]:
    """`AnswerLeak`."""
    yield _decoding(strategy, AnswerLeak)


class PaintedTwice(Speculation):
    """What the draft painted of a scale that fell stays on the canvas below the target's correction."""

    def _set(self, scale: int, rows: list[int], places: list[int], tokens: Tensor, codes: Tensor) -> None:
        canvas, chosen = self.seam.canvas, torch.tensor([rows[place] for place in places], device=tokens.device)
        had = canvas.states[scale + 1].clone() - canvas.states[scale] if scale + 1 < len(canvas.states) else None
        super()._set(scale, rows, places, tokens, codes)
        if had is not None:
            canvas.states[scale + 1].index_add_(0, chosen, had.index_select(0, chosen))


@planted()
@contextmanager
def painted_twice(runtime: Any, strategy: Equipped) -> Iterator[Equipped]:
    """`PaintedTwice`: the canvas is updated in place while drafting, and again on the verdict."""
    yield _decoding(strategy, PaintedTwice)


class NeverTakenBack(Speculation):
    """A scale that fell is corrected, and those that were drafted behind it stay."""

    def _round(self, rows: list[int], scale: int, gamma: int, cached: int) -> None:
        super()._round(rows, scale, gamma, cached)
        for row in rows:
            self.next[row] = max(self.next[row], scale + gamma)


@planted()
@contextmanager
def never_taken_back(runtime: Any, strategy: Equipped) -> Iterator[Equipped]:
    """`NeverTakenBack`."""
    yield _decoding(strategy, NeverTakenBack)


@planted()
@contextmanager
def unverified(runtime: Any, strategy: Equipped) -> Iterator[Equipped]:
    """Every scale stands: the pass that verifies is made and not heeded."""

    def judge(honest: Speculative, drafted: Drafted) -> Acceptance:
        verdict = honest.judge(drafted)
        return replace(verdict, stood=torch.ones_like(verdict.stood))

    yield _judging(strategy, judge)
