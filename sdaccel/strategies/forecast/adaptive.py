"""HiCache-Analytic in a generation: every layer of every picture has its own scale.

The reference also counts a double block's two text modules into the layer's statistic. Text is not kept here, because it never
reaches a forecast, so a layer's statistic is that of its image modules.
"""

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

from sdaccel.generators.flux.seam import DenoiseSeam
from sdaccel.strategies.forecast.analytic import AnalyticRule, AnalyticState, slope_sizes
from sdaccel.strategies.forecast.base import Forecast
from sdaccel.strategies.forecast.rule import ForecastRule
from sdaccel.strategies.forecast.weights import divided_differences, hermite_coefficients


class AnalyticForecastRule(ForecastRule):
    """One generation whose scales follow slopes: `places` holds (layer, modules before it in the layer) of every feature."""

    def __init__(self, strategy: Forecast, seam: DenoiseSeam, *, plan: Sequence[str], adapts: AnalyticRule) -> None:
        super().__init__(strategy, seam, plan=plan)
        self.state = AnalyticState(adapts)
        layers = [".".join(name.split(".")[:2]) for name in self.names]
        self.places = [(layer, layers[:f].count(layer)) for f, layer in enumerate(layers)]
        self.modules = {layer: layers.count(layer) for layer in layers}
        self.scaled: int | None = None
        """The last full step, if forecasts after it have a slope to scale."""

    def absorbed(self) -> None:
        """Scales stay where the forecasts before this full step left them, then the slopes are measured."""
        newest = self.ring.steps[0]
        anchors, _ = self.positions(newest)
        rows = range(self.ring.memory.shape[2])
        if self.scaled is not None and newest - self.scaled > 1:
            for layer, row in product(self.modules, rows):
                self.state.advance((row, layer), self.modules[layer] * (newest - self.scaled - 1))
        self.scaled = newest if len(anchors) > 1 else None
        if len(anchors) > 1:
            for (layer, _), sizes in zip(self.places, self._sizes(anchors[0] - anchors[1]), strict=True):
                for row in rows:
                    self.state.observe((row, layer), sizes[row])

    def _sizes(self, spacing: float) -> list[list[float]]:
        """D of every feature and row, read in one go; differences of bfloat16 anchors are not rounded to it."""
        pairs = (self.ring.anchors(name)[:2] for name in self.names)
        return torch.stack(
            [slope_sizes((new.float() - old.float()) / spacing, quantile=self.state.rule.q_quantile) for new, old in pairs]
        ).tolist()

    def weights(self, step: int) -> Tensor:
        anchors, at = self.positions(step)
        differences = torch.tensor(divided_differences(anchors), dtype=torch.float64)
        since = step - self.ring.steps[0]
        c = [
            [
                hermite_coefficients(at - anchors[0], order=len(anchors) - 1, scale=self._scale(row, f, since))
                for row in range(self.ring.memory.shape[2])
            ]
            for f in range(len(self.names))
        ]
        return (torch.tensor(c, dtype=torch.float64) @ differences).transpose(1, 2)

    def _scale(self, row: int, f: int, since: int) -> float:
        """The scale of a feature, `since` steps after the full step: its layer has been asked for others before."""
        layer, before = self.places[f]
        return self.state.after((row, layer), (since - 1) * self.modules[layer] + before + 1)
