"""Collaborative decoding (CoDe, arXiv 2411.17787): the large model drafts the first N scales, a small one refines the rest.

The opposite of SDVAR's handover: the first scales decide what the picture shows and are cheap, the last ones add detail and
hold most of the work. Training-free here; the paper also fine-tunes both models for their stages. Who makes the last scale adds
its residual, where a model has a head for one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from sdaccel.conditions import Condition
from sdaccel.errors import BadInput
from sdaccel.generators.nextscale.seam import Pass, ScaleSeam
from sdaccel.strategies.base import Alone, Declares, Done, Untold, strategy
from sdaccel.strategies.passes import make, said_of
from sdaccel.strategies.two_models import Model, check_beside, macs_of_runs

RUNS = ("target_runs", "refiner_runs")
"""How often either model computed each scale for a sample, (B, K)."""
NEVER = -1e4
"""A logit that no race is won with and that weighs 0 in every format, yet finite: guidance may multiply it by 0."""


@dataclass(frozen=True)
class Stage:
    """How one model's logits are shaped before the generator's own filters."""

    temperature: float
    top_k: int

    @property
    def neutral(self) -> bool:
        return self.temperature == 1 and self.top_k == 0

    def shaped(self, said: Pass) -> Pass:
        """Logits divided by the temperature; codes below the k-th largest cannot be drawn."""
        logits = said.logits / self.temperature
        if self.top_k:
            kth = logits.topk(self.top_k, dim=-1).values.amin(-1, keepdim=True)
            logits = logits.masked_fill(logits < kth, NEVER)
        return replace(said, logits=logits)


@strategy(name="code")
@dataclass(frozen=True, kw_only=True)
class CoDe(Alone):
    """Large first, small last. The arm's generator is the drafter."""

    refiner: Any = None
    """The small model: a config of the generator group. It is guided, held and computed as the drafter is."""
    draft_scales: int = 8
    """The paper's N: scales that the large model makes; all of them is the large model alone, 0 the small one alone."""
    draft_temperature: float = 1.0
    """The paper has 1.1 for the first seven scales and 1 after them."""
    draft_top_k: int = 0
    """Codes that the stage keeps by rank, before the generator's own top_k and top_p; 0: all. The paper has 600."""
    refine_temperature: float = 1.0
    refine_top_k: int = 0

    declares: ClassVar[Declares] = Declares(seam="scales", exact=False, beside=("refiner",), stats=RUNS)

    @property
    def stages(self) -> tuple[Stage, Stage]:
        """The drafter's and the refiner's."""
        return Stage(self.draft_temperature, self.draft_top_k), Stage(self.refine_temperature, self.refine_top_k)

    def check(self, steps: int) -> None:
        if not 0 <= self.draft_scales <= steps:
            raise BadInput(
                f"strategy.draft_scales={self.draft_scales} is outside 0 .. {steps}: 0 is the small model alone, {steps} the "
                "large one alone."
            )
        for name, stage in zip(("draft", "refine"), self.stages, strict=True):
            if not 0 < stage.temperature < float("inf"):
                raise BadInput(f"strategy.{name}_temperature={stage.temperature} must be a finite number above 0.")

    def models(self, target: Any) -> dict[str, Any]:
        return {"refiner": self.refiner.beside(target)}

    def fits(self, target: Any, conditions: Sequence[Condition]) -> None:
        check_beside("refiner", self.refiner, target)
        for name, stage in zip(("draft", "refine"), self.stages, strict=True):
            if not 0 <= stage.top_k <= target.vocab:
                raise BadInput(
                    f"strategy.{name}_top_k={stage.top_k} is outside 0 .. {target.vocab}, the vocabulary; 0 keeps all."
                )

    def plan(self, steps: int) -> list[str]:
        return ["full"] * self.draft_scales + ["refine"] * (steps - self.draft_scales)

    def macs(self, done: Done) -> float:
        return macs_of_runs(dict(zip(RUNS, (done.cost, done.beside["refiner"]), strict=True)), done.stats)

    def start(self, seam: ScaleSeam, *, steps: int, models: Mapping[str, Model]) -> "CoDeRule":
        refiner = models["refiner"].start(seam.condition, seam.seeds)
        return CoDeRule(seam, refiner, stages=self.stages, kinds=self.plan(steps))


class CoDeRule(Untold):
    """One generation."""

    def __init__(self, seam: ScaleSeam, refiner: ScaleSeam, *, stages: tuple[Stage, Stage], kinds: list[str]) -> None:
        self.seam, self.refiner, self.stages, self.kinds = seam, refiner, stages, kinds
        self.draft_scales = kinds.count("full")

    def decode(self) -> list[str]:
        scales, (draft, refine) = len(self.kinds), self.stages
        for scale in range(self.draft_scales):
            _step(self.seam, scale, draft, first=scale)
        self.refiner.adopt(self.seam, self.draft_scales)
        for scale in range(self.draft_scales, scales):
            # its first pass reads everything that the drafter made
            _step(self.refiner, scale, refine, first=0 if scale == self.draft_scales else scale)
        self.seam.adopt(self.refiner, scales)
        self.refiner.release()
        return self.kinds

    def stats(self) -> dict[str, Tensor]:
        """Which scales either model computed, the same for every sample, (B, K)."""
        drafted = torch.tensor([kind == "full" for kind in self.kinds])
        runs = drafted, torch.full_like(drafted, self.draft_scales < len(self.kinds))
        return {name: ran.long().expand(self.seam.rows, -1) for name, ran in zip(RUNS, runs, strict=True)}


def _step(seam: ScaleSeam, scale: int, stage: Stage, *, first: int) -> None:
    """A scale as the model makes it by itself, unless it has to read others first or the stage shapes its logits."""
    if first == scale and stage.neutral:
        seam.full(scale)
    else:
        make(seam, scale, stage.shaped(said_of(seam, scale, first=first)))
