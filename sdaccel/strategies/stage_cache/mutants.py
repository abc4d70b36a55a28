"""Bugs of the stage cache, planted one at a time; upstream's forks had all but the leak in one form or another.

An honest form of the same configuration does not have the bug, so it shows in `equal`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sdaccel.generators.nextscale.canvas import as_map, as_tokens
from sdaccel.generators.nextscale.seam import Due, Kind, ScaleSeam
from sdaccel.strategies.controls import mutant
from sdaccel.strategies.stage_cache.plan import Plan
from sdaccel.strategies.stage_cache.rule import Answers, Slots, StageCacheRule
from sdaccel.strategies.stage_cache.strategy import StageCache

planted = partial(mutant, of=StageCache, needs="a stage cache")


def _with(strategy: StageCache, bug: Callable[[StageCacheRule], None]) -> StageCache:
    """The strategy whose every rule gets the bug."""

    class Changed(StageCache):
        def start(self, seam: ScaleSeam, *, steps: int) -> StageCacheRule:
            rule = super().start(seam, steps=steps)
            bug(rule)
            return rule

    return Changed(**{f.name: getattr(strategy, f.name) for f in fields(strategy)})


def _replanned(rule: StageCacheRule, plan: Plan) -> None:
    rule.plan = plan
    for answers in rule.answers:
        answers.of = plan


@planted()
@contextmanager
def index_hole(runtime: Any, strategy: StageCache) -> Iterator[StageCache]:
    """Similarities lie before the stage that reuses and are read at the one that stores: the same place but around a hole."""

    def bug(rule: StageCacheRule) -> None:
        plan = rule.plan
        assert plan.table is not None, "reuse follows from similarities"
        places = list(plan.stages.index.values())
        table = {}
        for kind, values in plan.table.items():
            lying = np.zeros((plan.layers, plan.stages.columns))
            lying[:, [place - 1 for place in places[1:]]] = values[:, 1:]
            table[kind] = np.concatenate([values[:, :1], lying[:, places[:-1]]], 1)
        _replanned(rule, replace(plan, table=table))

    yield _with(strategy, bug)


class FromTheStart(Plan):
    """Stage 1 reuses what stage 0 left."""

    def stores(self, layer: int, kind: str, stage: int) -> bool:
        return (stage == 0 and kind in self.options.kinds) or super().stores(layer, kind, stage)

    def eligible(self, layer: int, kind: str, stage: int) -> bool:
        return (stage == 1 and kind in self.options.kinds) or super().eligible(layer, kind, stage)


class LastRow(Slots):
    """Of what was stored at stage 0."""

    def read(self, stage: int, layer: int, kind: Kind) -> Tensor:
        stored = super().read(stage, layer, kind)
        return stored if stage else stored[:, -1:]


@planted()
@contextmanager
def text_as_stage(runtime: Any, strategy: StageCache) -> Iterator[StageCache]:
    """Stage 0 is taken for one of a single token, though it reads a text, and stage 1 reuses it."""

    def bug(rule: StageCacheRule) -> None:
        plan = rule.plan
        _replanned(rule, FromTheStart(plan.options, plan.stages, plan.layers, plan.thresholds, plan.table))
        slots = LastRow()
        for answers in rule.answers:
            answers.slots = slots

    yield _with(strategy, bug)


class Full(Slots):
    """A slot that holds something is not written."""

    def write(self, stage: int, layer: int, kind: Kind, y: Tensor) -> None:
        if (stage, layer, kind) not in self.held:
            super().write(stage, layer, kind, y)


@planted()
@contextmanager
def slot_leak(runtime: Any, strategy: StageCache) -> Iterator[StageCache]:
    """Slots outlive their image: the first one is right, the next reuses what the first stored."""
    slots = Full()

    def bug(rule: StageCacheRule) -> None:
        for answers in rule.answers:
            answers.slots = slots

    yield _with(strategy, bug)


class Cornered(Answers):
    """`nearest` with the corners where they were."""

    def _reused(self, layer: int, kind: Kind, due: Due) -> Tensor:
        super()._reused(layer, kind, due)
        maps = as_map(self.slots.read(self.stage - 1, layer, kind))
        at = torch.linspace(0, maps.shape[-1] - 1, self.side, device=maps.device).round().long()
        return as_tokens(maps[:, :, at][..., at])


@planted()
@contextmanager
def nearest_aligned(runtime: Any, strategy: StageCache) -> Iterator[StageCache]:
    """`nearest` takes align_corners, which torch refuses to it."""

    def bug(rule: StageCacheRule) -> None:
        for answers in rule.answers:
            answers.__class__ = Cornered

    yield _with(strategy, bug)


@planted()
@contextmanager
def kv_dropped(runtime: Any, strategy: StageCache) -> Iterator[StageCache]:
    """A reused attention leaves no keys and values, without being told to."""
    yield replace(strategy, drop_kv=True)
