"""How large features and their slopes are in a run that skips steps: what to look at where pictures turn to noise.

At a full step features are taken by the seam's `watched`, which shares nothing with the strategy, at other steps they are the
strategy's own forecasts. Slopes are those that the strategy would extrapolate with: the difference of the last two anchors as
it holds them, over their distance. An arm without a strategy has the differences of its consecutive steps. Watching changes no
bit.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from sdaccel.errors import BadInput
from sdaccel.generators.flux.seam import DenoiseSeam
from sdaccel.registry import name_of
from sdaccel.strategies.base import Declares, Untold
from sdaccel.strategies.controls import observer
from sdaccel.strategies.forecast.base import Forecast
from sdaccel.strategies.forecast.rule import ForecastRule
from sdaccel.strategies.plain import Original

FEATURE, FORECAST, SLOPE = range(3)
"""First axis of `sizes`."""


ARRAYS = ("diagnostics.sizes", "diagnostics.exact")


@observer(name="watch")
@dataclass(frozen=True)
class Watched:
    """A strategy under watch; it may be `original`, which makes no rule."""

    strategy: Any
    honest: Any

    @staticmethod
    def check(where: str, *, strategy: Any, generator: Any) -> None:
        if generator.seam != "denoise" or not isinstance(strategy, Forecast | Original):
            raise BadInput(
                f"{where}: watch=true looks at forecasts of a flow transformer, or at a run without them, not at "
                f"{name_of(strategy)} on {name_of(generator)}."
            )

    @property
    def declares(self) -> Declares:
        own = self.strategy.declares
        return replace(own, arrays=(*own.arrays, *ARRAYS))

    def start(self, seam: DenoiseSeam, *, steps: int) -> "WatchedRule":
        return WatchedRule(self.strategy.start(seam, steps=steps), seam)


class WatchedRule(Untold):
    """Arrays: `sizes` (B, 3, F, T), root mean squares, NaN where there is none; `exact` (B, T), 1 at full steps that a sparse
    backend computed in full, 0 where it did not, NaN at other steps."""

    def __init__(self, rule: ForecastRule | None, seam: DenoiseSeam) -> None:
        self.rule, self.seam = rule, seam
        self.last: tuple[int, dict[str, Tensor]] | None = None
        self.sizes: list[Tensor] = []
        self.exact: list[Tensor] = []

    def arrays(self) -> dict[str, Tensor]:
        return dict(zip(ARRAYS, (torch.stack(self.sizes, -1), torch.stack(self.exact, -1)), strict=True))

    def velocity(self, step: int, x: Tensor) -> tuple[str, Tensor]:
        names, count = self.seam.features, len(x)
        column = torch.full((count, 3, len(names)), torch.nan, dtype=torch.float64)
        foreseen = self._foreseen(step, names)
        with self.seam.watched() as seen:
            kind, v = self.rule.velocity(step, x) if self.rule else ("full", self.seam.full(step, x))
        full = kind == "full"
        shown = seen if full else foreseen
        for f, name in enumerate(names if shown else []):
            column[:, FEATURE if full else FORECAST, f] = _rms(shown[name], count)
        if full:
            for f, slope in enumerate(self._slopes(step, seen, names)):
                column[:, SLOPE, f] = _rms(slope, count)
            self.last = step, seen
        self.sizes.append(column)
        self.exact.append(torch.full((count,), float(self.seam.exact) if full else torch.nan, dtype=torch.float64))
        return kind, v

    def _foreseen(self, step: int, names: list[str]) -> dict[str, Tensor]:
        """The strategy's forecast of every feature, where this step is one; a mode that keeps something coarser has none."""
        if self.rule is None or self.rule.plan[step] == "full" or self.rule.names != names:
            return {}
        return {name: self.rule.feature(step, name) for name in names}

    def _slopes(self, step: int, seen: dict[str, Tensor], names: list[str]) -> list[Tensor]:
        if self.rule is not None:
            steps = self.rule.ring.steps
            if len(steps) < 2 or self.rule.names != names:
                return []
            pairs = [self.rule.ring.anchors(name)[:2] for name in names]
            return [(new.float() - old.float()) / (steps[0] - steps[1]) for new, old in pairs]
        if self.last is None:
            return []
        before, features = self.last
        return [(seen[name].float() - features[name].float()) / (step - before) for name in names]


def _rms(feature: Tensor, count: int) -> Tensor:
    """(B,): over the numbers of a sample, of both of its rows under true guidance."""
    return feature.double().square().flatten(1).mean(1).unflatten(0, (-1, count)).mean(0).sqrt().cpu()
