"""Small pairs of models, and generations with them, for the laws of strategies with two models."""

from dataclasses import replace
from functools import cache
from typing import Any

import torch

from sdaccel.conditions import Batch
from sdaccel.generators.base import Generation
from sdaccel.generators.var.generator import Var, VarRuntime
from sdaccel.strategies.base import Equipped

SIDES = [1, 2, 3, 4]
TARGET = Var(
    depth=2,
    num_classes=5,
    vocab=32,
    Cvae=4,
    ch=32,
    ch_mult=[1],
    image_size=4,
    patch_nums=SIDES,
    init_unit_scale=True,
    top_k=0,
    top_p=0.9,
)
"""Random, and everything in it matters. Its tokenizer follows from init_seed, so that a draft has to share it."""
DRAFT = replace(TARGET, depth=1)


@cache
def _built(key: str) -> VarRuntime:
    return MADE[key].build(torch.device("cpu"))


MADE: dict[str, Var] = {}


def built(config: Var) -> VarRuntime:
    """One runtime per config in a test session."""
    MADE[repr(config)] = config
    return _built(repr(config))


def batch(labels: list[int], seed: int) -> Batch:
    return Batch(tuple(labels), torch.arange(len(labels)) + seed, {i: i for i in range(len(labels))})


def generate(target: Var, of: Batch, strategy: Any = None) -> Generation:
    """With the strategy's draft beside the target, or the target alone."""
    if strategy is not None:
        strategy = Equipped(strategy, {name: built(model) for name, model in strategy.models(target).items()})
    return built(target).generate(of, backend=None, strategy=strategy, keep=["tokens", "f_hat"])
