"""Stage cache as a strategy: sublayers of a stage take what the stage before stored, enlarged (seed documents 000, 001)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from sdaccel.conditions import Condition
from sdaccel.errors import BadInput
from sdaccel.generators.base import Cost, SublayerMacs
from sdaccel.generators.nextscale.seam import ScaleSeam
from sdaccel.strategies.base import Alone, Declares, Done, Foreseen, strategy
from sdaccel.strategies.stage_cache.maps import FIRST, StageMap, map_of
from sdaccel.strategies.stage_cache.options import KINDS, Options
from sdaccel.strategies.stage_cache.plan import Plan, Table, planned
from sdaccel.strategies.stage_cache.rule import StageCacheRule

REUSED = {kind: f"reused_{kind}" for kind in KINDS}
"""Stat of every kind: layers that reused at every stage."""


@strategy(name="stage_cache")
@dataclass(frozen=True, kw_only=True)
class StageCache(Alone, Options):
    """Reuse where a calibration found stages alike."""

    force: bool = False
    """Reuse wherever a stage has stored, however unlike; no similarity is asked for."""
    drop_kv: bool = False
    """Ablation: a reused attention leaves no keys and values, so later stages do not see this one."""
    similarity: dict[str, Any] | None = None
    """What a calibration measured: `attn` and `mlp`, a row per layer and a column per stage from the third on."""

    declares: ClassVar[Declares] = Declares(seam="scales", exact=False, stats=tuple(REUSED.values()))

    def check(self, steps: int) -> None:
        self.check_values()
        if self.calibration_samples != Options.calibration_samples:
            raise BadInput(
                f"strategy.calibration_samples={self.calibration_samples} has no effect: it counts the prompts of a "
                "calibration, and a generation makes none; leave it out."
            )
        if self.skip_stages and not self.force and self.similarity is None:
            raise BadInput(
                f"strategy.skip_stages={self.skip_stages} without strategy.similarity reuses nothing: nobody measured which "
                "stages are alike; choose a +calibration made for this model, or set strategy.force=true."
            )

    def fits(self, generator: Any, conditions: Sequence[Condition]) -> None:
        self.check_stages(map_of(generator.scales))
        for kind, rows in (self.similarity or {}).items():
            shape, wanted = np.shape(rows), (generator.depth, len(generator.scales) - FIRST)
            if kind in KINDS and shape != wanted:
                raise BadInput(
                    f"strategy.similarity.{kind} is {shape}, and this model has {wanted[0]} layers and {wanted[1]} stages that "
                    "may reuse; it was measured on another model, calibrate this one."
                )

    def table(self) -> Table | None:
        """By stage; nan where nothing is asked. None: reuse is forced."""
        if self.force or self.similarity is None:
            return None
        nothing = np.full((len(self.similarity["attn"]), FIRST), np.nan)
        return {kind: np.concatenate([nothing, np.asarray(self.similarity[kind], np.float64)], 1) for kind in KINDS}

    def planned(self, stages: StageMap, layers: int) -> Plan:
        return planned(self, stages, layers=layers, table=self.table())

    def plan(self, steps: int) -> list[str]:
        """Every stage runs; which of its sublayers do follows from the model."""
        return ["full"] * steps

    def foreseen(self, cost: Cost, beside: Mapping[str, Cost]) -> Foreseen:
        plan = self.planned(map_of(cost.scales), cost.layers)
        counted = plan.counted()
        reused = {kind: [plan.reused(kind, stage) for stage in range(len(cost.scales))] for kind in KINDS}
        of = f"{counted['reused']:.0f} of {counted['eligible']:.0f} eligible sublayers"
        return Foreseen(self._macs(cost, cost.macs, reused), f"{of} reused, {counted['overall_reuse']:.1%} of all")

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

    def start(self, seam: ScaleSeam, *, steps: int) -> StageCacheRule:
        sides = seam.canvas.layout.patch_nums
        return StageCacheRule(seam, self.planned(map_of(sides), seam.layers), patch_nums=sides, drop_kv=self.drop_kv)
