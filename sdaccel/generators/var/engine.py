"""How a generation is computed: engines draw the same samples, up to rounding, and differ in speed and memory alone.

eager: the reference, operator by operator · autocast: as the official code runs · fast: the strongest lossless baseline
"""

from collections.abc import Callable

import torch

from sdaccel.generators.nextscale.autocast import Autocast
from sdaccel.generators.nextscale.engine import Eager, Engine
from sdaccel.generators.var.sampler import VarModel

ENGINES = ("eager", "autocast", "fast")


def make_engine(name: str, model: VarModel, *, dtype: torch.dtype) -> Engine:
    """The engine of a config's name, which `Var.check` has checked; `dtype` is the format of the products."""
    from sdaccel.generators.var.engine_autocast import AutocastModel
    from sdaccel.generators.var.engine_fast import Fast

    makers: dict[str, Callable[[], Engine]] = {
        "eager": lambda: Eager(model),
        "autocast": lambda: Autocast(AutocastModel(model.var, model.vae), dtype),
        "fast": lambda: Fast(model),
    }
    return makers[name]()
