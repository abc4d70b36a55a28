"""One generation with a stage cache: what the plan stores is stored, what it reuses is enlarged from there.

A slot per stage, layer and sublayer, read by the next stage alone; what was reused may be stored again, so chains compound.
"""

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from sdaccel.generators.nextscale.seam import Due, Kind, ScaleSeam
from sdaccel.strategies.stage_cache.interpolate import interpolate, similarity
from sdaccel.strategies.stage_cache.maps import FIRST
from sdaccel.strategies.stage_cache.plan import Plan

NAMES: dict[Kind, str] = {"attn": "attn", "ffn": "mlp"}
"""The seam's names of sublayers, and the seed's."""
REUSE = "diagnostics.reuse"


class Slots:
    """Memory of stored outputs by stage, layer and kind, made where it is first written and kept in place: engines that
    record a stage write there again."""

    def __init__(self) -> None:
        self.held: dict[tuple[int, int, Kind], Tensor] = {}

    def write(self, stage: int, layer: int, kind: Kind, y: Tensor) -> None:
        key = (stage, layer, kind)
        if key not in self.held:
            with torch.inference_mode(False):
                self.held[key] = torch.empty_like(y)
        self.held[key].copy_(y)

    def read(self, stage: int, layer: int, kind: Kind) -> Tensor:
        return self.held[stage, layer, kind]


class Answers:
    """Answers for the sublayers of one stage."""

    def __init__(self, plan: Plan, stage: int, side: int, slots: Slots, *, drop_kv: bool) -> None:
        self.of, self.stage, self.side, self.slots, self.drop_kv = plan, stage, side, slots, drop_kv
        self.last = stage == len(plan.stages.tokens) - 1

    @property
    def plan(self) -> Hashable:
        return self.of.signature, self.drop_kv

    def sublayer(self, layer: int, kind: Kind, x: Tensor, due: Due) -> Tensor:
        name = NAMES[kind]
        y = self._reused(layer, kind, due) if self.of.reuses(layer, name, self.stage) else due.compute()
        if self.of.stores(layer, name, self.stage):
            self.slots.write(self.stage, layer, kind, y)
        return y

    def _reused(self, layer: int, kind: Kind, due: Due) -> Tensor:
        """Keys and values are still owed to later stages; the last one has none."""
        if self.drop_kv or self.last:
            due.drop_kv()
        else:
            due.keep_kv()
        stored = self.slots.read(self.stage - 1, layer, kind)
        return interpolate(stored, self.side, self.of.options.interpolation_mode)


class StageCacheRule:
    """One generation."""

    def __init__(self, seam: ScaleSeam, plan: Plan, *, patch_nums: Sequence[int], drop_kv: bool) -> None:
        self.seam, self.plan = seam, plan
        slots = Slots()
        self.answers = [Answers(plan, k, side, slots, drop_kv=drop_kv) for k, side in enumerate(patch_nums)]

    def scale(self, scale: int) -> str:
        self.seam.full(scale, sublayers=self.answers[scale] if scale in self.plan.acting else None)
        return "full"

    def stats(self) -> dict[str, Tensor]:
        """Layers that reused, by kind and stage; the same for every sample of a plan."""
        stages = range(len(self.answers))
        counts = {name: torch.tensor([self.plan.reused(name, stage) for stage in stages]) for name in NAMES.values()}
        return {f"reused_{name}": count.expand(self.seam.rows, -1).clone() for name, count in counts.items()}

    def arrays(self) -> dict[str, Tensor]:
        """(B, kinds, layers, stages): 1 where a sublayer was reused, 0 where it might have been, nan elsewhere."""
        return {REUSE: torch.tensor(self.plan.hits).expand(self.seam.rows, -1, -1, -1)}


class Measured:
    """Computes everything and measures how alike a stage's sublayers are to those of the stage before, enlarged."""

    def __init__(self, patch_nums: Sequence[int], *, layers: int, mode: str) -> None:
        self.patch_nums, self.layers, self.mode = patch_nums, layers, mode
        self.outputs, self.alike = Slots(), Slots()
        self.stage = 0

    @property
    def plan(self) -> Hashable:
        """No other generation's: what this one measures lies in memory of its own."""
        return "measured", self.stage, self

    def at(self, stage: int) -> "Measured":
        self.stage = stage
        return self

    def sublayer(self, layer: int, kind: Kind, x: Tensor, due: Due) -> Tensor:
        y = due.compute()
        if self.stage >= FIRST:
            enlarged = interpolate(self.outputs.read(self.stage - 1, layer, kind), self.patch_nums[self.stage], self.mode)
            self.alike.write(self.stage, layer, kind, similarity(enlarged, y))
        if self.stage >= FIRST - 1:
            self.outputs.write(self.stage, layer, kind, y)
        return y

    @property
    def table(self) -> dict[str, Tensor]:
        """Kind -> (R, layers, stages) in double precision; nan where a stage has none before it."""
        sizes = self.layers, len(self.patch_nums)
        (rows,) = next(iter(self.alike.held.values())).shape
        tables = {name: torch.full((rows, *sizes), torch.nan, dtype=torch.float64) for name in NAMES.values()}
        for (stage, layer, kind), values in self.alike.held.items():
            tables[NAMES[kind]][:, layer, stage] = values.double().cpu()
        return tables
