"""How a generation is computed: engines draw the same samples, up to rounding, and differ in speed and memory alone.

eager: the reference, operator by operator · autocast: as the official code runs · fast: the strongest lossless baseline
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from sdaccel.generators.nextscale.loop import Sample, ScaleLoop
from sdaccel.generators.nextscale.seam import ScaleSeam
from sdaccel.generators.nextscale.tokens import PhiloxRace, Sampling
from sdaccel.generators.var.sampler import VarModel

ENGINES = ("eager", "autocast", "fast")


class Loop(ScaleSeam, Protocol):
    """One generation: scales are run in order through the seam, then the image is made."""

    def finish(self) -> Sample: ...


class Engine(Protocol):
    """Built once per runtime; knows models, never strategies."""

    def start(self, condition: Tensor, seeds: Tensor, *, sampling: Sampling) -> Loop:
        """A generation of one image per label (B,) with the noise of the seeds (B,)."""
        ...


class Eager:
    def __init__(self, model: VarModel) -> None:
        self.model = model

    def start(self, condition: Tensor, seeds: Tensor, *, sampling: Sampling) -> ScaleLoop:
        return ScaleLoop(self.model, condition, noise=PhiloxRace(seeds), sampling=sampling)


def make_engine(name: str, model: VarModel, *, dtype: torch.dtype) -> Engine:
    """The engine of a config's name, which `Var.check` has checked; `dtype` is the format of the products."""
    from sdaccel.generators.var.engine_autocast import Autocast
    from sdaccel.generators.var.engine_fast import Fast

    makers: dict[str, Callable[[], Engine]] = {
        "eager": lambda: Eager(model),
        "autocast": lambda: Autocast(model, dtype=dtype),
        "fast": lambda: Fast(model),
    }
    return makers[name]()
