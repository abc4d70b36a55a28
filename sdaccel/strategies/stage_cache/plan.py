"""Which sublayers of a generation are reused and which are stored, decided beforehand from measured similarities.

s stage · a sublayer's slot holds what its stage stored, for the next one alone
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from sdaccel.strategies.stage_cache.adaptive import AdaptiveThresholds
from sdaccel.strategies.stage_cache.maps import FIRST, StageMap
from sdaccel.strategies.stage_cache.options import KINDS, Options

Table = Mapping[str, np.ndarray]
"""Kind -> similarity (layers, stages) of every stage to the one before; nan for stages that have none."""


class Event(NamedTuple):
    """A sublayer that might have been reused."""

    stage: int
    layer: int
    kind: str
    hit: bool


@dataclass(frozen=True)
class Plan:
    """Decisions of one generation."""

    options: Options
    stages: StageMap
    layers: int
    thresholds: Table
    """Kind -> threshold (layers, stages), as it stands when the stage before has run."""
    table: Table | None
    """None: reuse is forced."""

    def like(self, layer: int, kind: str, stage: int) -> bool:
        """A sublayer of this stage is like that of the stage before, or is taken for it."""
        if self.table is None:
            return True
        return bool(self.table[kind][layer, stage] > self.thresholds[kind][layer, stage])

    def stores(self, layer: int, kind: str, stage: int) -> bool:
        last = len(self.stages.tokens) - 1
        wanted = FIRST - 1 <= stage < last and self.stages.tokens[stage] in self.options.cache_stages
        return wanted and kind in self.options.kinds and self.like(layer, kind, stage + 1)

    def eligible(self, layer: int, kind: str, stage: int) -> bool:
        return stage >= FIRST and self.stages.tokens[stage] in self.options.skip_stages and kind in self.options.kinds

    def reuses(self, layer: int, kind: str, stage: int) -> bool:
        """Eligible, alike, and the stage before has stored: a skip without that is a miss."""
        return self.eligible(layer, kind, stage) and self.like(layer, kind, stage) and self.stores(layer, kind, stage - 1)

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """Of all sublayers that are eligible, in the order of the generation."""
        return tuple(
            Event(stage, layer, kind, self.reuses(layer, kind, stage))
            for stage, layer, kind in self._sublayers()
            if self.eligible(layer, kind, stage)
        )

    @cached_property
    def stored(self) -> tuple[tuple[int, int, str], ...]:
        """(stage, layer, kind) of all that is stored."""
        return tuple((stage, layer, kind) for stage, layer, kind in self._sublayers() if self.stores(layer, kind, stage))

    @property
    def held(self) -> int:
        """Tokens in all slots together, at the end of a generation; each is a row of the model's width in both branches."""
        return sum(self.stages.tokens[stage] for stage, _, _ in self.stored)

    def _sublayers(self) -> Iterator[tuple[int, int, str]]:
        return itertools.product(range(len(self.stages.tokens)), range(self.layers), self.options.kinds)

    def reused(self, kind: str, stage: int) -> int:
        """Layers that reuse."""
        return sum(e.hit for e in self.events if (e.kind, e.stage) == (kind, stage))

    @cached_property
    def hits(self) -> np.ndarray:
        """(kinds, layers, stages): 1 where a sublayer is reused, 0 where it might have been, nan elsewhere."""
        found = np.full((len(KINDS), self.layers, len(self.stages.tokens)), np.nan)
        for event in self.events:
            found[KINDS.index(event.kind), event.layer, event.stage] = event.hit
        return found

    @cached_property
    def acting(self) -> frozenset[int]:
        """Stages at which anything is reused or stored."""
        return frozenset([e.stage for e in self.events if e.hit] + [stage for stage, _, _ in self.stored])

    @cached_property
    def signature(self) -> bytes:
        """Of all that a generation does by this plan; as bytes, whose hash is kept: an engine asks for it at every stage."""
        return repr((self.events, self.stored, self.options.interpolation_mode)).encode()

    def counted(self) -> dict[str, float]:
        """eligible, reused, hit_rate = reused / eligible, overall_reuse = reused / all sublayers of all stages."""
        events = self.events
        reused = sum(event.hit for event in events)
        every = 2 * self.layers * len(self.stages.tokens)
        return {
            "eligible": len(events),
            "reused": reused,
            "hit_rate": reused / len(events) if events else 0.0,
            "overall_reuse": reused / every,
        }


def planned(options: Options, stages: StageMap, *, layers: int, table: Table | None) -> Plan:
    """The decisions that options and measured similarities make; without a table reuse is forced."""
    shape = layers, len(stages.tokens)
    thresholds: Table = {kind: np.full(shape, options.threshold) for kind in KINDS}
    if table is not None and options.adaptive_threshold:
        thresholds = _adaptive(options, table, shape)
    plan = Plan(options, stages, layers, thresholds, table)
    if table is None or options.reuse_budget is None:
        return plan
    return replace(plan, thresholds={kind: np.full(shape, _for_budget(plan, table)) for kind in KINDS})


def _adaptive(options: Options, table: Table, shape: tuple[int, int]) -> Table:
    """The seed's rule, fed with the similarities of the stages as they pass: its window lives within one generation."""
    rule = AdaptiveThresholds(shape[0], options.threshold, options.similarity_window)
    thresholds = {kind: np.full(shape, options.threshold) for kind in KINDS}
    for stage in range(FIRST, shape[1]):
        for kind in KINDS:
            thresholds[kind][:, stage] = rule.values[kind]
        for layer in range(shape[0]):
            for kind in KINDS:
                rule.measured(layer, kind, float(table[kind][layer, stage]))
    return thresholds


def _for_budget(plan: Plan, table: Table) -> float:
    """The threshold above which the wanted share of what is eligible lies: just below the least of the likest ones."""
    values = sorted((float(table[e.kind][e.layer, e.stage]) for e in plan.events), reverse=True)
    wanted = round((plan.options.reuse_budget or 0) * len(values))
    return float(np.nextafter(values[wanted - 1], -np.inf)) if wanted else math.inf
