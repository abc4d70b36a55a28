"""A small VAR and a smaller one beside it, with random weights that matter and one tokenizer."""

from dataclasses import replace
from typing import Any

import torch

from sdaccel.conditions import batches
from sdaccel.generators.base import Generation
from sdaccel.generators.var.generator import Var, VarRuntime
from sdaccel.strategies.base import Equipped

SIDES = [1, 2, 3, 4]
SCALES = len(SIDES)
TARGET = Var(
    depth=2,
    num_classes=5,
    vocab=256,
    Cvae=4,
    ch=32,
    ch_mult=[1, 1, 2],
    image_size=16,
    patch_nums=SIDES,
    init_unit_scale=True,
    cfg=1.0,
    top_k=0,
    top_p=0,
)
DRAFT = replace(TARGET, depth=1)
BATCH = batches([1, 3, 4], seed=5, size=3)[0]
CPU = torch.device("cpu")


def generate(target: VarRuntime, strategy: Any, **models: VarRuntime) -> Generation:
    """Three images; `models` are those that the strategy runs beside the target."""
    equipped = Equipped(strategy, models) if models else strategy
    return target.generate(BATCH, backend=None, strategy=equipped, keep=["tokens", "f_hat"])


def same(a: Generation, b: Generation) -> bool:
    """Bit for bit."""
    return torch.equal(a.images, b.images) and all(torch.equal(a.arrays[name], b.arrays[name]) for name in ("tokens", "f_hat"))
