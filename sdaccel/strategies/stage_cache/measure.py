"""How alike the stages of a plain generation are: what thresholds are set by, measured on the run that they would change."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from sdaccel.generators.base import Cost
from sdaccel.generators.nextscale.seam import ScaleSeam
from sdaccel.strategies.base import Alone, Declares, Untold, strategy
from sdaccel.strategies.stage_cache.interpolate import check_mode
from sdaccel.strategies.stage_cache.maps import FIRST
from sdaccel.strategies.stage_cache.rule import Measured

SIMILARITY = "diagnostics.similarity"


@strategy(name="stage_similarity")
@dataclass(frozen=True, kw_only=True)
class StageSimilarity(Alone):
    """Every sublayer runs and is compared with that of the stage before, enlarged; nothing else is done to it."""

    interpolation_mode: str = "bilinear"
    """How the stage before is enlarged."""

    declares: ClassVar[Declares] = Declares(seam="scales", exact=True, arrays=(SIMILARITY,))

    def check(self, steps: int) -> None:
        check_mode(self.interpolation_mode)

    def plan(self, steps: int) -> list[str]:
        return ["full"] * steps

    def state_bytes(self, cost: Cost, itemsize: int) -> int:
        """Outputs of both sublayers, of every stage that another one is compared with or is compared."""
        tokens = sum(side * side for side in cost.scales[FIRST - 1 :])
        return 2 * cost.layers * tokens * cost.hidden * itemsize

    def start(self, seam: ScaleSeam, *, steps: int) -> "SimilarityRule":
        sides = seam.canvas.layout.patch_nums
        return SimilarityRule(seam, Measured(sides, layers=seam.layers, mode=self.interpolation_mode))


@dataclass(frozen=True)
class SimilarityRule(Untold):
    """One generation."""

    seam: ScaleSeam
    measured: Measured

    def scale(self, scale: int) -> str:
        self.seam.full(scale, sublayers=self.measured.at(scale))
        return "full"

    def arrays(self) -> dict[str, Tensor]:
        """(B, kinds, layers, stages): the mean over both guidance halves of a sample."""
        self.measured.outputs.held.clear()  # nothing is asked any more, and engines may keep whom they asked
        rows = torch.stack([*self.measured.table.values()], 1)
        return {SIMILARITY: rows.unflatten(0, (2, self.seam.rows)).mean(0)}
