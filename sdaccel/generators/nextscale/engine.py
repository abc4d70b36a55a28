"""How a generation is computed: engines draw the same samples, up to rounding, and differ in speed and memory alone."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from sdaccel.generators.base import Generation, told
from sdaccel.generators.nextscale.loop import Sample, ScaleLoop
from sdaccel.generators.nextscale.model import NextScaleModel
from sdaccel.generators.nextscale.seam import ScaleSeam, run_scales
from sdaccel.generators.nextscale.tokens import PhiloxRace, Sampling


class Loop(ScaleSeam, Protocol):
    """One generation: scales are run in order through the seam, then the image is made."""

    def finish(self) -> Sample: ...


class Engine(Protocol):
    """Built once per runtime; knows models, never strategies."""

    def start(self, condition: Any, seeds: Tensor, *, sampling: Sampling) -> Loop:
        """A generation of one image per condition with the noise of the seeds (B,)."""
        ...


@dataclass(frozen=True)
class Eager:
    """The reference, operator by operator."""

    model: NextScaleModel
    race: type[PhiloxRace] = PhiloxRace

    def start(self, condition: Any, seeds: Tensor, *, sampling: Sampling) -> ScaleLoop:
        return ScaleLoop(self.model, condition, noise=self.race(seeds), sampling=sampling)


def generated(loop: Loop, *, scales: int, strategy: Any, keep: Collection[str]) -> Generation:
    """A generation from its first scale to its image, with what the strategy does."""
    rule = None if strategy is None else strategy.start(loop, steps=scales)
    kinds = run_scales(loop, scales=scales, rule=rule)
    made = loop.finish()
    (arrays, stats), own = told(rule), {"tokens": made.tokens, "f_hat": made.f_hats}
    return Generation(made.images.float(), kinds, {name: own[name] for name in keep} | arrays, stats)
