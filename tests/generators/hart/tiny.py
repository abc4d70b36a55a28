"""A small HART and a smaller one beside it, with random weights that matter and one tokenizer."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from sdaccel.conditions import Batch
from sdaccel.generators.base import Generation
from sdaccel.generators.hart.context import Context
from sdaccel.generators.hart.generator import Hart
from sdaccel.generators.hart.runtime import HartRuntime
from sdaccel.strategies.base import Equipped

CPU = torch.device("cpu")
TINY = Hart(
    depth=2,
    embed_dim=32,
    heads=2,
    hidden=48,
    context_tokens=5,
    context_width=24,
    vocab=64,
    Cvae=4,
    ch=32,
    ch_mult=[1],
    image_size=4,
    patch_nums=[1, 2, 3, 4],
    head_width=32,
    head_depth=2,
    cfg=2.0,
)
DOUBLE = replace(TINY, dtype="float64")
DRAFT = replace(TINY, depth=1, embed_dim=16, head_width=16, head_depth=1)
PROMPTS = ["a cat", "two dogs", "a red cube on a blue table"]
SEEDS = torch.tensor([7, 8, 9])

_built: dict[str, HartRuntime] = {}


def built(config: Hart) -> HartRuntime:
    """One runtime per config in a test session."""
    if repr(config) not in _built:
        _built[repr(config)] = config.build(CPU)
    return _built[repr(config)]


def batch(prompts: list[str] = PROMPTS, seeds: Tensor = SEEDS) -> Batch:
    return Batch(tuple(prompts), seeds, {i: i for i in range(len(prompts))})


def told(config: Hart, prompts: list[str] = PROMPTS) -> Context:
    return built(config).reader.read(prompts)


def generate(config: Hart, of: Batch | None = None, strategy: Any = None) -> Generation:
    """With the strategy's models beside the target, or the target alone."""
    if strategy is not None and (beside := strategy.models(config)):
        strategy = Equipped(strategy, {name: built(model) for name, model in beside.items()})
    return built(config).generate(of or batch(), backend=None, strategy=strategy, keep=["tokens", "f_hat"])


def same(a: Generation, b: Generation) -> bool:
    """Bit for bit."""
    return torch.equal(a.images, b.images) and all(torch.equal(a.arrays[name], b.arrays[name]) for name in ("tokens", "f_hat"))


def close(a: Generation, b: Generation) -> bool:
    """The same tokens, and a canvas that differs by rounding alone."""
    return torch.equal(a.arrays["tokens"], b.arrays["tokens"]) and bool(
        (a.arrays["f_hat"] - b.arrays["f_hat"]).abs().max() < 1e-9
    )
