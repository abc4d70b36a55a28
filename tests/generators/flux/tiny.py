"""The tiny FLUX of these tests, bound to prompts the way a generation binds it, and what its laws look at."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from sdaccel.conditions import Batch
from sdaccel.generators.base import Generation, torch_dtype
from sdaccel.generators.flux.generator import Flux, FluxRuntime
from sdaccel.generators.flux.schedule import times
from sdaccel.generators.flux.seam import FluxSeam
from sdaccel.noise import Stream, normal
from sdaccel.strategies.forecast.base import Forecast
from sdaccel.strategies.forecast.strategy import (
    DampedTaylor,
    Delta,
    Fora,
    HiCache,
    HiCacheAnalytic,
    Newton,
    Taylor,
    TaylorScaled,
)
from sdaccel.strategies.plain import Dense

TINY = Flux(doubles=2, singles=2, height=8, width=16, num_steps=12)
"""Not square, so that rows and columns cannot be mixed up."""
CPU = torch.device("cpu")
PROMPTS = ["a cat", "two dogs"]
FORECASTS: dict[str, type[Forecast]] = {"taylor": Taylor, "hicache": HiCache}
"""The two that papers are about."""
MODES: dict[str, type[Forecast]] = FORECASTS | {
    "taylor_scaled": TaylorScaled,
    "damped_taylor": DampedTaylor,
    "hicache_analytic": HiCacheAnalytic,
    "newton": Newton,
    "fora": Fora,
    "delta": Delta,
}


def built(dtype: str = "float32") -> FluxRuntime:
    return replace(TINY, dtype=dtype).build(CPU)


def bind(runtime: FluxRuntime, prompts: list[str] = PROMPTS) -> FluxSeam:
    """The seam of one generation, as `generate` makes it."""
    dtype = torch_dtype(runtime.config.dtype)
    inputs = runtime.config._inputs(prompts)
    for name in ("encoder_hidden_states", "pooled_projections"):
        inputs[name] = inputs[name].to(dtype)
    schedule = times(TINY.num_steps, tokens=TINY.tokens)
    return FluxSeam(runtime.transformer, inputs=inputs, times=schedule, dtype=dtype, true_cfg=runtime.config.true_cfg)


def from_features(seam: FluxSeam, step: int, x: Tensor, features: Mapping[str, Tensor]) -> Tensor:
    """The velocity at x when the gated features are given instead of computed, summed one by one."""
    gates = dict(zip(seam.features, seam.gates([step])[0], strict=True))
    added = sum((gates[name][:, None] * features[name].to(seam.wide) for name in seam.features), torch.zeros(()))
    return seam.from_trunk(step, x, added)


def noise(seeds: list[int]) -> Tensor:
    return normal(torch.tensor(seeds), Stream.LATENT, (TINY.tokens, 12))


def batch(prompts: list[str] = PROMPTS, seeds: tuple[int, ...] = (1, 2)) -> Batch:
    return Batch(tuple(prompts), torch.tensor(seeds), dict(enumerate(range(len(prompts)))))


def generate(runtime: FluxRuntime, strategy: object, wanted: Batch | None = None) -> Generation:
    return runtime.generate(wanted or batch(), backend=Dense(), strategy=strategy, keep=["latents"])


def same(a: Generation, b: Generation) -> bool:
    return torch.equal(a.arrays["latents"], b.arrays["latents"]) and torch.equal(a.images, b.images)


def hooks(model: torch.nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def relative(a: Tensor, b: Tensor) -> float:
    """||a - b|| / ||b||"""
    return float((a.double() - b.double()).norm() / b.double().norm())
