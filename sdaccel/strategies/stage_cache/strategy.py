"""Stage cache as a strategy: sublayers of a stage take what the stage before stored, enlarged (seed documents 000, 001)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from sdaccel.conditions import Condition
from sdaccel.errors import BadInput
from sdaccel.generators.base import Cost, SublayerMacs
from sdaccel.generators.nextscale.seam import ScaleSeam
from sdaccel.strategies.base import Alone, Declares, Done, Foreseen, Wanted, strategy
from sdaccel.strategies.stage_cache.bound import bound, check_bound
from sdaccel.strategies.stage_cache.maps import FIRST, StageMap, map_of
from sdaccel.strategies.stage_cache.measure import SIMILARITY, StageSimilarity
from sdaccel.strategies.stage_cache.naming import Naming
from sdaccel.strategies.stage_cache.options import KINDS, Options
from sdaccel.strategies.stage_cache.plan import Plan, Table, planned
from sdaccel.strategies.stage_cache.rule import REUSE, StageCacheRule

REUSED = {kind: f"reused_{kind}" for kind in KINDS}
"""Stat of every kind: layers that reused at every stage."""


@strategy(name="stage_cache")
@dataclass(frozen=True, kw_only=True)
class StageCache(Alone, Naming):
    """Reuse where a calibration found stages alike."""

    force: bool = False
    """Reuse wherever a stage has stored, however unlike; no similarity is asked for."""
    drop_kv: bool = False
    """Ablation: a reused attention leaves no keys and values, so later stages do not see this one."""
    similarity: Any = None
    """What a calibration measured: `attn` and `mlp`, a row per layer and a column per stage from the third on; see bound.py."""
    calibrate: bool = False
    """Have the study measure the similarity first, on `calibration_samples` samples behind its own."""

    declares: ClassVar[Declares] = Declares(seam="scales", exact=False, stats=tuple(REUSED.values()), arrays=(REUSE,))

    def check(self, steps: int) -> None:
        self.check_values()
        self.check_naming()
        self._check_source()

    def _check_source(self) -> None:
        """What is alike is known from a calibration, or the study measures it first, or it is not asked for."""
        if self.calibrate and self.similarity is not None:
            raise BadInput(
                "strategy.calibrate=true measures a similarity, and strategy.similarity or a +calibration gives it; choose one."
            )
        if self.calibrate and (self.force or not self.skips):
            other = "strategy.force=true asks for no similarity" if self.force else f"strategy.{self.said} reuses nothing"
            raise BadInput(f"strategy.calibrate=true has no effect: {other}; leave one of them out.")
        if not self.calibrate and self.calibration_samples not in self.usual_samples:
            raise BadInput(
                f"strategy.calibration_samples={self.calibration_samples} has no effect: it counts the prompts of a "
                "calibration, and none is made; leave it out, or set strategy.calibrate=true."
            )
        if self.skips and not (self.force or self.calibrate) and self.similarity is None:
            raise BadInput(
                f"strategy.{self.said} without strategy.similarity reuses nothing: nobody measured which "
                "stages are alike; choose a +calibration made for this model, strategy.calibrate=true or strategy.force=true."
            )

    def fits(self, generator: Any, conditions: Sequence[Condition]) -> None:
        self.on(map_of(generator.scales))
        if self.similarity is not None:
            check_bound(self.similarity, generator)

    def wants(self) -> Wanted | None:
        measures = StageSimilarity(interpolation_mode=self.interpolation_mode)
        return Wanted(measures, self.calibration_samples) if self.calibrate else None

    def given(self, generator: Any, found: Mapping[str, np.ndarray]) -> "StageCache":
        similarity = bound(dict(zip(KINDS, found[SIMILARITY], strict=True)), generator, samples=self.calibration_samples)
        return replace(self, similarity=similarity, calibrate=False, calibration_samples=Options.calibration_samples)

    def table(self) -> Table | None:
        """By stage; nan where nothing is asked. None: reuse is forced."""
        if self.calibrate:
            raise BadInput("strategy.calibrate=true is for a study, which measures first; elsewhere choose a +calibration.")
        if self.force or self.similarity is None:
            return None
        nothing = np.full((len(self.similarity["attn"]), FIRST), np.nan)
        return {kind: np.concatenate([nothing, np.asarray(self.similarity[kind], np.float64)], 1) for kind in KINDS}

    def planned(self, stages: StageMap, layers: int) -> Plan:
        """Made once: a plan for a large model takes longer than what it spares a single picture at some stages."""
        key = stages.tokens, layers
        if key not in self._plans:
            self._plans[key] = planned(self.on(stages), stages, layers=layers, table=self.table())
        return self._plans[key]

    @cached_property
    def _plans(self) -> dict[tuple[tuple[int, ...], int], Plan]:
        return {}

    def plan(self, steps: int) -> list[str]:
        """Every stage runs; which of its sublayers do follows from the model."""
        return ["full"] * steps

    def foreseen(self, cost: Cost, beside: Mapping[str, Cost]) -> Foreseen:
        if self.calibrate:
            return Foreseen(sum(cost.macs), f"reuses what {self.calibration_samples} samples of a calibration, made first, say")
        plan = self.planned(map_of(cost.scales), cost.layers)
        counted = plan.counted()
        reused = {kind: [plan.reused(kind, stage) for stage in range(len(cost.scales))] for kind in KINDS}
        macs = self._macs(cost, cost.macs, reused)
        of = f"{counted['reused']:.0f} of {counted['eligible']:.0f} eligible sublayers reused"
        counts = zip(plan.stages.tokens, *reused.values(), strict=True)
        each = " ".join(f"{tokens}:{attn}+{mlp}" for tokens, attn, mlp in counts if attn + mlp)
        where = f" ({each} attn+mlp of {cost.layers} layers)" if each else ""
        return Foreseen(macs, f"{of}{where}, {counted['overall_reuse']:.1%} of all, MACs / {sum(cost.macs) / macs:.2f}")

    def macs(self, done: Done) -> float:
        return self._macs(done.cost, done.steps, {kind: done.stats[name] for kind, name in REUSED.items()})

    def _macs(self, cost: Cost, steps: Sequence[float], reused: Mapping[str, Sequence[float]]) -> float:
        """Of the steps less what sublayers did not compute; a reused attention still projects its keys and values."""
        last = len(cost.sublayers) - 1
        spared = sum(
            reused["attn"][stage] * (one.attn - self._owed(one, stage == last)) + reused["mlp"][stage] * one.ffn
            for stage, one in enumerate(cost.sublayers)
        )
        return sum(steps) - spared

    def _owed(self, one: SublayerMacs, last: bool) -> int:
        return 0 if last or self.drop_kv else one.keys_values

    def state_bytes(self, cost: Cost, itemsize: int) -> int:
        """Slots; of all that may be reused while no calibration has said what is."""
        own = replace(self, calibrate=False, force=True) if self.calibrate else self
        return own.planned(map_of(cost.scales), cost.layers).held * cost.hidden * itemsize

    def start(self, seam: ScaleSeam, *, steps: int) -> StageCacheRule:
        sides = seam.canvas.layout.patch_nums
        return StageCacheRule(seam, self.planned(map_of(sides), seam.layers), patch_nums=sides, drop_kv=self.drop_kv)
