"""Does a forecasting strategy keep what it says it keeps? Equality at interval=1 must not come from storing nothing.

The audit wraps the strategy and sees the features through the seam's `watched` and copies of its own. After every full step the
strategy's anchors must equal those copies bit for bit, and at every step the forecast it would make is evaluated and compared
with the published recursion over the copies, in float64. Where a step is forecast, so is the sum that it was made with. The
audit only watches: an audited run has the unaudited run's output.
"""

from collections import deque
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from sdaccel.errors import BadInput
from sdaccel.generators.flux.seam import DenoiseSeam
from sdaccel.registry import name_of
from sdaccel.strategies.base import Declares
from sdaccel.strategies.controls import observer
from sdaccel.strategies.forecast.base import Forecast
from sdaccel.strategies.forecast.granularity import GRANULARITIES
from sdaccel.strategies.forecast.published import FeatureHistory, published
from sdaccel.strategies.forecast.rule import ForecastRule

ARRAYS = ("anchor_error", "reference_error", "forecast_error", "reuse_error")


@observer(name="audit")
@dataclass(frozen=True)
class Audited:
    """A forecasting strategy under watch; `strategy` may be a mutant, `honest` says what it should be."""

    strategy: Forecast
    honest: Forecast

    @staticmethod
    def check(where: str, *, strategy: Any, generator: Any) -> None:
        if not isinstance(strategy, Forecast):
            raise BadInput(f"{where}: audit=true needs a forecasting strategy, not {name_of(strategy)}.")
        if published(strategy) is None:
            raise BadInput(
                f"{where}: audit=true knows no published formula for these options of {name_of(strategy)}; it knows "
                "granularity=module (of modes that hold also singles) with clock=step, and neither smooth nor q_quantile; "
                "set these or leave it off."
            )

    @property
    def declares(self) -> Declares:
        own = self.strategy.declares
        return replace(own, arrays=(*own.arrays, *ARRAYS))

    def start(self, seam: DenoiseSeam, *, steps: int) -> "AuditedRule":
        heard = Listening(seam)
        return AuditedRule(self.strategy.start(heard, steps=steps), heard, self.honest, steps)


class Listening:
    """The seam, and what a rule last put in the place of the blocks."""

    def __init__(self, seam: DenoiseSeam) -> None:
        self.seam = seam
        self.added: Tensor | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.seam, name)

    def from_trunk(self, step: int, x: Tensor, added: Tensor) -> Tensor:
        self.added = added
        return self.seam.from_trunk(step, x, added)

    def from_singles(self, step: int, x: Tensor, added: Tensor) -> Tensor:
        self.added = added
        return self.seam.from_singles(step, x, added)


class AuditedRule:
    """Rows of the arrays are per image (the worse of its two under true guidance), columns per step.

    NaN stands where there was nothing to evaluate.
    """

    def __init__(self, rule: ForecastRule, seam: Listening, honest: Forecast, steps: int) -> None:
        self.rule = rule
        self.seam = seam
        self.honest = honest
        reference = published(honest)
        assert reference is not None, "`Audited.check` has looked"
        self.reference = reference
        self.granularity = GRANULARITIES[honest.granularity]
        self.forecasts = [step for step, kind in enumerate(honest.plan(steps)) if kind != "full"]
        self.steps: deque[int] = deque(maxlen=honest.max_order + 1)
        names = self.granularity.names(seam)
        self.watched = {name: FeatureHistory(self.steps, deque(maxlen=honest.max_order + 1)) for name in names}
        self.columns: dict[str, list[Tensor]] = {}
        self.images = 0
        self.exact = True

    def stats(self) -> dict[str, Tensor]:
        return self.rule.stats()

    def arrays(self) -> dict[str, Tensor]:
        return self.rule.arrays() | {name: torch.stack(columns, 1) for name, columns in self.columns.items()}

    def velocity(self, step: int, x: Tensor) -> tuple[str, Tensor]:
        self.images = len(x)
        foreseen = self._would_be(step) if self.steps else {}
        with self.seam.watched() as everything:
            kind, v = self.rule.velocity(step, x)
        seen = {name: everything[name] for name in self.watched if name in everything}
        errors = self._forecast_errors(foreseen, seen, len(x))
        if kind == "full":
            self._log("anchor_error", self._absorb(step, seen))
        else:
            self._log("anchor_error", torch.full((len(x),), torch.nan))
            errors["reference_error"] = torch.maximum(errors["reference_error"], self._applied_error(step, foreseen))
        for name, value in errors.items():
            self._log(name, value)
        return kind, v

    def _would_be(self, step: int) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
        """Feature -> the strategy's forecast for this step, the published one, and mere reuse."""
        return {
            name: (
                self.rule.feature(step, name).double(),
                self.reference.forecast(name, watched, step),
                watched.copies[0].double(),
            )
            for name, watched in self.watched.items()
        }

    def _applied_error(self, step: int, foreseen: dict[str, Any]) -> Tensor:
        """Per row, of the sum that the step was really made with, which the strategy takes for several steps at once."""
        assert self.seam.added is not None, "a step that is not full was made with a forecast"
        references = torch.stack([reference for _, reference, _ in foreseen.values()])
        if self.granularity.gated:  # of all forecasts at once, as the strategy asks for them: one product, the same bits
            references *= self._gates[self.forecasts.index(step)].double().unsqueeze(2)
        return _relative([(self.seam.added.double(), references.sum(0))])

    @cached_property
    def _gates(self) -> Tensor:
        return self.seam.gates(self.forecasts)

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
            self.reference.absorbed(name, watched)
            worst = torch.maximum(worst, self._difference(name, watched).cpu())
        return worst

    def _difference(self, name: str, watched: FeatureHistory) -> Tensor:
        if list(self.rule.ring.steps) != list(self.steps):
            return torch.full((len(watched.copies[0]),), torch.inf, dtype=torch.float64)
        pairs = zip(self.rule.ring.anchors(name), watched.copies, strict=True)
        return torch.stack([(kept.double() - copy.double()).abs().flatten(1).amax(1) for kept, copy in pairs]).amax(0)

    def _log(self, name: str, value: Tensor) -> None:
        self.columns.setdefault(name, []).append(value.double().cpu().view(-1, self.images).amax(0))


def _relative(pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
    """||a - b|| / ||b|| per row over a list of features."""
    off = sum((a - b).square().flatten(1).sum(1) for a, b in pairs)
    size = sum(b.square().flatten(1).sum(1) for _, b in pairs)
    return (torch.as_tensor(off) / torch.as_tensor(size)).sqrt()
