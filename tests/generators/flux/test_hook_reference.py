"""The engine against the published way: hooks on every module of an unmodified model, each output forecast on its own.

The reference keeps the outputs of attention, both feed-forwards and the single blocks' projections, over text and image tokens,
in the recursive ladder, and at a forecast step overrides them while the model runs and recomputes its gates.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import torch
from numpy.polynomial.hermite import Hermite
from torch import Tensor

from sdaccel.generators.flux.generator import FluxRuntime
from sdaccel.generators.flux.seam import FluxSeam
from sdaccel.strategies.forecast.base import Forecast
from sdaccel.strategies.forecast.strategy import HiCache, Taylor
from tests.generators.flux.tiny import TINY, bind, noise, relative

Coefficient = Callable[[int, int], float]
FACTORIAL = [1, 1, 2, 6]


def taylor(k: int, i: int) -> float:
    return k**i / FACTORIAL[i]


def hermite(k: int, i: int, sigma: float = 0.5) -> float:
    return sigma**i * float(Hermite.basis(i)(sigma * k)) / FACTORIAL[i] if i else 1.0


class Hooked:
    """One ladder of tensors for every output of every module."""

    def __init__(self, seam: FluxSeam, coefficient: Coefficient, *, order: int, first_enhance: int) -> None:
        self.seam, self.coefficient, self.order, self.first_enhance = seam, coefficient, order, first_enhance
        self.ladders: dict[tuple[str, int], list[Tensor]] = {}
        self.last = 0

    @property
    def modules(self) -> dict[str, Any]:
        model = self.seam.model
        out = {
            f"{i}.{part}": getattr(b, part)
            for i, b in enumerate(model.transformer_blocks)
            for part in ("attn", "ff", "ff_context")
        }
        return out | {f"single {i}": b.proj_out for i, b in enumerate(model.single_transformer_blocks)}

    @contextmanager
    def hooks(self, hook: Callable[..., Any]) -> Iterator[None]:
        handles = [module.register_forward_hook(partial(hook, name)) for name, module in self.modules.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def velocity(self, step: int, x: Tensor, *, full: bool) -> Tensor:
        def keep(name: str, module: Any, args: Any, output: Any) -> None:
            for part, value in enumerate(output if isinstance(output, tuple) else (output,)):
                rungs = [value.clone()]
                for old in self.ladders.get((name, part), []) if step > self.first_enhance - 2 else []:
                    if len(rungs) <= self.order:
                        rungs.append((rungs[-1] - old) / (step - self.last))
                self.ladders[name, part] = rungs

        def override(name: str, module: Any, args: Any, output: Any) -> Any:
            k = step - self.last
            parts = [
                sum((self.coefficient(k, i) * rung for i, rung in enumerate(self.ladders[name, part])), torch.zeros(()))
                for part in range(len(output) if isinstance(output, tuple) else 1)
            ]
            return tuple(parts) if isinstance(output, tuple) else parts[0]

        with self.hooks(keep if full else override):
            time = torch.full((len(x),), self.seam.times[step])
            out: Tensor = self.seam.model(hidden_states=x, timestep=time, return_dict=False, **self.seam.inputs)[0]
        self.last = step if full else self.last
        return out


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize(("strategy", "coefficient"), [(Taylor, taylor), (HiCache, hermite)])
@torch.inference_mode()
def test_every_velocity_is_that_of_the_hooked_model(
    strategy: type[Forecast], coefficient: Coefficient, order: int, runtime: FluxRuntime
) -> None:
    ours = strategy(interval=4, max_order=order, first_enhance=2)
    seam, x = bind(runtime), noise([1, 2])
    theirs = Hooked(seam, coefficient, order=order, first_enhance=2)
    rule, plan, errors = ours.start(seam, steps=TINY.num_steps), ours.plan(TINY.num_steps), []
    for step, kind in enumerate(plan):
        wanted = theirs.velocity(step, x, full=kind == "full")
        errors.append(relative(rule.velocity(step, x)[1], wanted))
        x = x + (seam.times[step + 1] - seam.times[step]) * wanted
    assert plan.count("forecast") > 6
    assert max(errors) < 1e-5


@torch.inference_mode()
def test_a_forecast_with_the_sign_of_k_flipped_would_be_seen(runtime: FluxRuntime) -> None:
    seam, x = bind(runtime), noise([1, 2])
    theirs = Hooked(seam, lambda k, i: taylor(-k, i), order=1, first_enhance=2)
    rule = Taylor(interval=4, max_order=1, first_enhance=2).start(seam, steps=TINY.num_steps)
    for step in (0, 1):
        assert torch.equal(rule.velocity(step, x)[1], theirs.velocity(step, x, full=True))
        x = 0.9 * x
    assert relative(rule.velocity(2, x)[1], theirs.velocity(2, x, full=False)) > 1e-3
