"""One generation with a stage cache: what the plan stores is stored, what it reuses is enlarged from there.

A slot per stage, layer and sublayer, read by the next stage alone; what was reused may be stored again, so chains compound.
"""

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from sdaccel.generators.nextscale.seam import Due, Kind, ScaleSeam
from sdaccel.strategies.stage_cache.interpolate import interpolate, similarity
from sdaccel.strategies.stage_cache.plan import Plan

NAMES: dict[Kind, str] = {"attn": "attn", "ffn": "mlp"}
"""The seam's names of sublayers, and the seed's."""


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
        return self.of.events, self.of.stored, self.drop_kv, self.of.options.interpolation_mode

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
        acts = self.plan.acts(scale)
        self.seam.full(scale, sublayers=self.answers[scale] if acts else None)
        return "full"

    def stats(self) -> dict[str, Tensor]:
        """Layers that reused, by kind and stage; the same for every sample of a plan."""
        stages = range(len(self.answers))
        counts = {name: torch.tensor([self.plan.reused(name, stage) for stage in stages]) for name in NAMES.values()}
        return {f"reused_{name}": count.expand(self.seam.rows, -1).clone() for name, count in counts.items()}

    def arrays(self) -> dict[str, Tensor]:
        return {}


class Measured:
    """Computes everything and measures how alike a stage's sublayers are to those of the stage before, enlarged."""

    def __init__(self, patch_nums: Sequence[int], *, layers: int, mode: str) -> None:
        self.patch_nums, self.mode = patch_nums, mode
        self.before: dict[tuple[int, Kind], Tensor] = {}
        self.stage = 0
        self.table = {name: torch.full((layers, len(patch_nums)), float("nan"), dtype=torch.float64) for name in NAMES.values()}

    @property
    def plan(self) -> Hashable:
        return "measured", self.stage, id(self)

    def at(self, stage: int) -> "Measured":
        self.stage = stage
        return self

    def sublayer(self, layer: int, kind: Kind, x: Tensor, due: Due) -> Tensor:
        y = due.compute()
        if self.stage >= 2:
            enlarged = interpolate(self.before[layer, kind], self.patch_nums[self.stage], self.mode)
            self.table[NAMES[kind]][layer, self.stage] = similarity(enlarged, y).double().cpu()
        self.before[layer, kind] = y.clone()
        return y
