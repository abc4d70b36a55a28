"""Does a forecasting strategy keep what it says it keeps? Equality at interval=1 must not come from storing nothing.

The audit wraps the strategy and watches the model through forward hooks and copies of its own. After every full step the
strategy's anchors must equal those copies bit for bit, and at every step the forecast it would make is evaluated and compared
with the published recursion over the copies, in float64. It only watches: an audited run has the unaudited run's output.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from numpy.polynomial.hermite import Hermite
from torch import Tensor

from sdaccel.errors import BadInput
from sdaccel.generators.flux.seam import FluxSeam
from sdaccel.strategies.forecast.base import Forecast
from sdaccel.strategies.forecast.rule import ForecastRule
from sdaccel.strategies.forecast.strategy import DampedTaylor, Fora, HiCache, Taylor, TaylorScaled

Coefficient = Callable[[int, int], float]
"""(k, i) -> c_i"""


def published(strategy: Forecast) -> Coefficient:
    """c_i(k) as printed, by other means than the strategy's own code."""
    s = getattr(strategy, "hicache_scale", 1.0)
    printed: dict[type[Forecast], Coefficient] = {
        HiCache: lambda k, i: float(s**i * Hermite.basis(i)(s * k)) / math.factorial(i) if i else 1.0,
        Taylor: lambda k, i: k**i / math.factorial(i),
        TaylorScaled: lambda k, i: (s * s * k) ** i / math.factorial(i),
        DampedTaylor: lambda k, i: (2 * s * s * k) ** i / math.factorial(i),
        Fora: lambda k, i: float(i == 0),
    }
    found = [coefficient for mode, coefficient in printed.items() if isinstance(strategy, mode)]
    if (strategy.granularity, strategy.clock) != ("module", "step") or not found:
        raise BadInput(
            f"audit=true knows no published formula for {type(strategy).__name__} at granularity={strategy.granularity}, "
            f"clock={strategy.clock}; leave it off or add one to audit.py."
        )
    return found[0]


@dataclass(frozen=True)
class Audited:
    """A forecasting strategy under watch; `strategy` may be a mutant, `honest` says what it should be."""

    strategy: Forecast
    honest: Forecast

    @property
    def seam(self) -> str | None:
        return self.strategy.seam

    def start(self, seam: FluxSeam, *, steps: int) -> "AuditedRule":
        return AuditedRule(self.strategy.start(seam, steps=steps), seam, self.honest)


@dataclass
class Watched:
    """What the audit itself knows of one feature: copies of the last full steps, newest first, and the ladder."""

    copies: deque[Tensor]
    ladder: list[Tensor] = field(default_factory=list)
    """Of the newest full step."""
    exact: list[Tensor] = field(default_factory=list)
    """Of the newest one that a backend left exact: others are held and never differenced."""


class AuditedRule:
    """Rows of the arrays are per image (the worse of its two under true guidance), columns per step.

    NaN stands where there was nothing to evaluate.
    """

    def __init__(self, rule: ForecastRule, seam: FluxSeam, honest: Forecast) -> None:
        self.rule = rule
        self.seam = seam
        self.honest = honest
        self.coefficient = published(honest)
        self.steps: deque[int] = deque(maxlen=honest.max_order + 1)
        self.watched = {name: Watched(deque(maxlen=honest.max_order + 1)) for name in seam.features}
        self.columns: dict[str, list[Tensor]] = {}
        self.images = 0
        self.exact = True

    @property
    def arrays(self) -> Callable[[], dict[str, Tensor]]:
        return lambda: {name: torch.stack(columns, 1) for name, columns in self.columns.items()}

    def velocity(self, step: int, x: Tensor) -> tuple[str, Tensor]:
        self.images = len(x)
        foreseen = self._would_be(step) if self.steps else {}
        with own_hooks(self.seam) as seen:
            kind, v = self.rule.velocity(step, x)
        if kind == "full":
            self._log("anchor_error", self._absorb(step, seen))
        else:
            self._log("anchor_error", torch.full((len(x),), torch.nan))
        for name, value in self._forecast_errors(foreseen, seen, len(x)).items():
            self._log(name, value)
        return kind, v

    def _would_be(self, step: int) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
        """Feature -> the strategy's forecast for this step, the published one, and mere reuse."""
        k = step - self.steps[0]
        out = {}
        for name, watched in self.watched.items():
            reference = sum((self.coefficient(k, i) * rung for i, rung in enumerate(watched.ladder)), torch.zeros(()))
            out[name] = (self.rule.feature(step, name).double(), reference, watched.copies[0].double())
        return out

    def _forecast_errors(self, foreseen: dict[str, Any], seen: dict[str, Tensor], rows: int) -> dict[str, Tensor]:
        """Per row, relative L2 over all features: strategy against published, and both rules against what came."""
        nothing = torch.full((rows,), torch.nan, dtype=torch.float64)
        errors = {"reference_error": nothing, "forecast_error": nothing, "reuse_error": nothing}
        if foreseen:
            pairs = [(ours, reference) for ours, reference, _ in foreseen.values()]
            errors["reference_error"] = _relative(pairs)
        if foreseen and seen:
            truth = {name: feature.double() for name, feature in seen.items()}
            errors["forecast_error"] = _relative([(foreseen[name][0], truth[name]) for name in foreseen])
            errors["reuse_error"] = _relative([(foreseen[name][2], truth[name]) for name in foreseen])
        return errors

    def _absorb(self, step: int, seen: dict[str, Tensor]) -> Tensor:
        """Take a full step into the copies and ladders; the largest difference to the strategy's anchors, per row."""
        if self.steps and not self.exact:  # an inexact anchor gives way to the next one
            self.steps.popleft()
            for watched in self.watched.values():
                watched.copies.popleft()
        self.exact = self.seam.exact
        spacing = step - self.steps[0] if self.steps else 0
        self.steps.appendleft(step)
        worst = torch.zeros(len(next(iter(seen.values()))), dtype=torch.float64)
        for name, feature in seen.items():
            watched = self.watched[name]
            watched.copies.appendleft(feature)
            rungs = [feature.double()]
            for old in watched.exact if step > self.honest.first_enhance - 2 else []:
                if len(rungs) <= self.honest.max_order:
                    rungs.append((rungs[-1] - old) / spacing)
            watched.ladder = rungs if self.exact else rungs[:1]
            watched.exact = rungs if self.exact else watched.exact
            worst = torch.maximum(worst, self._difference(name, watched).cpu())
        return worst

    def _difference(self, name: str, watched: Watched) -> Tensor:
        if list(self.rule.ring.steps) != list(self.steps):
            return torch.full((len(watched.copies[0]),), torch.inf, dtype=torch.float64)
        pairs = zip(self.rule.ring.anchors(name), watched.copies, strict=True)
        return torch.stack([(kept.double() - copy.double()).abs().flatten(1).amax(1) for kept, copy in pairs]).amax(0)

    def _log(self, name: str, value: Tensor) -> None:
        self.columns.setdefault(name, []).append(value.double().cpu().view(-1, self.images).amax(0))


@contextmanager
def own_hooks(seam: FluxSeam) -> Iterator[dict[str, Tensor]]:
    """Copies of all features of a step, by hooks that share nothing with the seam's."""
    seen: dict[str, Tensor] = {}
    model, text = seam.model, seam.inputs["encoder_hidden_states"].shape[1]

    def keep(name: str, module: Any, args: Any, output: Any) -> None:
        image = output[0] if isinstance(output, tuple) else output
        seen[name] = (image[:, text:] if name.startswith("single") else image).clone()

    places = [(f"double.{i}.attn", block.attn) for i, block in enumerate(model.transformer_blocks)]
    places += [(f"double.{i}.mlp", block.ff) for i, block in enumerate(model.transformer_blocks)]
    places += [(f"single.{i}", block.proj_out) for i, block in enumerate(model.single_transformer_blocks)]
    handles = [module.register_forward_hook(partial(keep, name)) for name, module in places]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _relative(pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
    """||a - b|| / ||b|| per row over a list of features."""
    off = sum((a - b).square().flatten(1).sum(1) for a, b in pairs)
    size = sum(b.square().flatten(1).sum(1) for _, b in pairs)
    return (torch.as_tensor(off) / torch.as_tensor(size)).sqrt()
