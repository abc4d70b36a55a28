"""How a generation of HART is computed.

eager: the reference, operator by operator · autocast: as the official code runs, float32 weights under half-precision autocast
"""

from collections.abc import Callable

import torch
from torch import Tensor

from sdaccel.generators.hart.sampler import HartModel, HartRace
from sdaccel.generators.nextscale.autocast import Autocast, GrowingCache
from sdaccel.generators.nextscale.engine import Eager, Engine

ENGINES = ("eager", "autocast")


class HalfCache(GrowingCache):
    """By concatenation, K in the format of V."""

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        return super().append(layer, k.to(v.dtype), v)


def make_engine(name: str, model: HartModel, *, dtype: torch.dtype) -> Engine:
    """The engine of a config's name, which `Hart.check` has checked; `dtype` is the format of the products."""
    makers: dict[str, Callable[[], Engine]] = {
        "eager": lambda: Eager(model, HartRace),
        "autocast": lambda: Autocast(model, dtype, HartRace, HalfCache),
    }
    return makers[name]()
