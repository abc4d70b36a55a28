"""Hand one image from the draft to the target: SDVAR's test3, as its authors meant it.

The draft makes the first `entry_num` scales alone. Then the target reads them all and makes scale `entry_num` in one masked
pass, whose keys and values it keeps, and goes on to the last scale. Nothing is verified: what the draft made stays.

e entry_num · K scales
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from sdaccel.errors import BadInput
from sdaccel.generators.nextscale.seam import ScaleSeam
from sdaccel.strategies.base import Declares, Untold, strategy
from sdaccel.strategies.passes import make, said_of
from sdaccel.strategies.speculative.masks import CORRECT, MASKS, bias, without_prefix
from sdaccel.strategies.two_models import RUNS, Model, TwoModels


@strategy(name="handover")
@dataclass(frozen=True, kw_only=True)
class Handover(TwoModels):
    """Draft first, target last."""

    declares: ClassVar[Declares] = Declares(seam="scales", exact=False, beside=("draft",), stats=(*RUNS, "target_calls"))

    entry_num: int = 5
    """Scales that the draft makes: 0 is the target alone, all scales the draft alone."""
    sd_mask: int = CORRECT
    """Who sees whom in the target's first pass, see `masks`. 3 is right; 0 feeds it nothing of what the draft made."""

    def check(self, steps: int) -> None:
        if not 0 <= self.entry_num <= steps:
            raise BadInput(
                f"strategy.entry_num={self.entry_num} is outside 0 .. {steps}: 0 is the target alone, {steps} the draft."
            )
        if self.sd_mask not in MASKS:
            raise BadInput(f"strategy.sd_mask={self.sd_mask} is outside 0 .. {MASKS[-1]}; {CORRECT} is the correct one.")

    def plan(self, steps: int) -> list[str]:
        return ["draft"] * self.entry_num + ["full"] * (steps - self.entry_num)

    def start(self, seam: ScaleSeam, *, steps: int, models: Mapping[str, Model]) -> "HandoverRule":
        draft = models["draft"].start(seam.condition, seam.seeds)
        return HandoverRule(seam, draft, entry=self.entry_num, sd_mask=self.sd_mask, kinds=self.plan(steps))


class HandoverRule(Untold):
    """One generation."""

    def __init__(self, seam: ScaleSeam, draft: ScaleSeam, *, entry: int, sd_mask: int, kinds: list[str]) -> None:
        self.seam, self.draft = seam, draft
        self.entry, self.sd_mask, self.kinds = entry, sd_mask, kinds

    def decode(self) -> list[str]:
        seam, scales = self.seam, len(self.kinds)
        for scale in range(self.entry):
            self.draft.full(scale)
        seam.adopt(self.draft, self.entry)
        self.draft.release()
        if 0 < self.entry < scales:
            if self.sd_mask == 0:
                self._enter_blind()
            else:
                self._enter()
        for scale in range(seam.canvas.scale, scales):
            seam.full(scale)
        return self.kinds

    def _enter(self) -> None:
        """The target reads all scales of the prefix and makes its first one."""
        own = None  # the model's own visibility is the correct one
        if self.sd_mask != CORRECT:
            own = bias(self.seam.canvas.layout, entry=self.entry, sd_mask=self.sd_mask, device=self.seam.device)
        make(self.seam, self.entry, said_of(self.seam, self.entry, first=0, bias=own))

    def _enter_blind(self) -> None:
        """The target reads nothing of the prefix but its picture, and no scale of its own looks for more."""
        layout, device = self.seam.canvas.layout, self.seam.device
        self.seam.blank(self.entry)
        for scale in range(self.entry, len(self.kinds)):
            hidden = without_prefix(layout, entry=self.entry, scale=scale, device=device)
            make(self.seam, scale, said_of(self.seam, scale, first=scale, bias=hidden))

    def stats(self) -> dict[str, Tensor]:
        """The same for every sample: which scales either model computed, (B, K); forwards of the target, (B,)."""
        rows, scales = self.seam.rows, len(self.kinds)
        scale = torch.arange(scales)
        reads_prefix = self.sd_mask != 0 and self.entry < scales
        runs = ((scale >= self.entry) | reads_prefix, scale < self.entry)
        counted = {name: ran.long().expand(rows, -1) for name, ran in zip(RUNS, runs, strict=True)}
        return counted | {"target_calls": torch.full((rows,), scales - self.entry)}
