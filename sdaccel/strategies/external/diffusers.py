"""diffusers' own model and its TaylorSeer cache, as a user of that library would run them.

`diffusers` is its plain forward, the slow baseline that speed-ups must not be quoted against alone. `diffusers_taylorseer`
hooks the modules that TaylorSeer's reference forecasts. The library counts steps by itself, with a first gap of one step; here
its hooks are told before each step, so that both sides run the same full steps.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from sdaccel.strategies.base import Alone, Declares, Untold, strategy
from sdaccel.strategies.forecast.checks import UNDER_EULER, check_schedule
from sdaccel.strategies.forecast.plan import full_steps

FORECAST = (r"transformer_blocks\.\d+\.(attn|ff|ff_context)", r"single_transformer_blocks\.\d+\.proj_out")
SKIPPED = (r"single_transformer_blocks\.\d+\.(attn|proj_mlp)",)
"""Nothing but the single blocks' outputs, which are forecast, depends on these."""
HOOK = "taylorseer_cache"
NEVER = 2**31
"""An interval that no schedule reaches."""


class OwnForward(Protocol):
    """What these rivals need of a generation."""

    model: Any
    dtype: torch.dtype

    def own(self, step: int, x: Tensor) -> Tensor:
        """The velocity by the library's own forward."""
        ...


@strategy(name="diffusers")
@dataclass(frozen=True)
class Diffusers(Alone):
    """Every step by diffusers' forward."""

    declares: ClassVar[Declares] = Declares(seam="denoise", exact=True)

    def check(self, steps: int) -> None:
        """Always fits."""

    def plan(self, steps: int) -> list[str]:
        return ["full"] * steps

    def start(self, seam: OwnForward, *, steps: int) -> "DiffusersRule":
        return DiffusersRule(seam)


@dataclass
class DiffusersRule(Untold):
    seam: OwnForward

    def velocity(self, step: int, x: Tensor) -> tuple[str, Tensor]:
        return "full", self.seam.own(step, x)


@strategy(name="diffusers_taylorseer")
@dataclass(frozen=True)
class DiffusersTaylorSeer(Alone):
    """diffusers' TaylorSeerCacheConfig at the reference's granularity."""

    declares: ClassVar[Declares] = Declares(seam="denoise", exact=False, excludes=UNDER_EULER)

    interval: int = 5
    """Distance of full steps."""
    max_order: int = 2
    """Highest difference."""
    first_enhance: int = 3
    """The first steps that all run in full."""

    def check(self, steps: int) -> None:
        check_schedule(self)

    def plan(self, steps: int) -> list[str]:
        full = full_steps(steps, interval=self.interval, first_enhance=self.first_enhance)
        return ["full" if runs else "forecast" for runs in full]

    def start(self, seam: OwnForward, *, steps: int) -> "TaylorSeerRule":
        return TaylorSeerRule(seam, plan=self.plan(steps), max_order=self.max_order)


class TaylorSeerRule(Untold):
    """One generation: the hooks are there from its first step to its last, or to its first error."""

    def __init__(self, seam: OwnForward, *, plan: Sequence[str], max_order: int) -> None:
        self.seam = seam
        self.plan = plan
        self.max_order = max_order

    def velocity(self, step: int, x: Tensor) -> tuple[str, Tensor]:
        model, kind = self.seam.model, self.plan[step]
        if step == 0:
            self._attach(model)
        try:
            for hook in hooks(model):  # full while step < before, or at 1 + before + multiples of the interval
                hook.disable_cache_before_step = NEVER if kind == "full" else -1
            with model.cache_context("generation"):
                v = self.seam.own(step, x)
        except BaseException:
            model.disable_cache()
            raise
        if step == len(self.plan) - 1:
            model.disable_cache()
        return kind, v

    def _attach(self, model: Any) -> None:
        from diffusers import TaylorSeerCacheConfig

        model.enable_cache(
            TaylorSeerCacheConfig(
                cache_interval=NEVER,
                max_order=self.max_order,
                taylor_factors_dtype=self.seam.dtype,
                cache_identifiers=list(FORECAST),
                skip_predict_identifiers=list(SKIPPED),
            )
        )


def hooks(model: nn.Module) -> Iterable[Any]:
    """The cache's hooks on a model's modules."""
    for module in model.modules():
        registry = getattr(module, "_diffusers_hook", None)
        if registry is not None and HOOK in registry.hooks:
            yield registry.hooks[HOOK]
