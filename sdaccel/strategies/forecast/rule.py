"""One generation under a forecasting strategy: its plan, its anchors, and the sums of the steps ahead."""

from collections.abc import Sequence
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sdaccel.generators.flux.seam import DenoiseSeam
from sdaccel.kernels.forecast_sums import forecast_sums
from sdaccel.strategies.base import Untold
from sdaccel.strategies.forecast.clock import CLOCKS
from sdaccel.strategies.forecast.granularity import GRANULARITIES
from sdaccel.strategies.forecast.plan import ladder_length

if TYPE_CHECKING:
    from sdaccel.strategies.forecast.base import Forecast


class ForecastRule(Untold):
    """Full steps fill the ring; the first forecast after one takes the sums of all until the next in a single pass."""

    def __init__(self, strategy: "Forecast", seam: DenoiseSeam, *, plan: Sequence[str]) -> None:
        self.strategy = strategy
        self.seam = seam
        self.plan = plan
        self.granularity = GRANULARITIES[strategy.granularity]
        self.names = self.granularity.names(seam)
        self.ring = strategy.ring(self.names)
        self.sums: dict[int, Tensor] = {}
        """Forecast step -> its gated sum over features, (B, L, D)."""

    def velocity(self, step: int, x: Tensor) -> tuple[str, Tensor]:
        kind = self.plan[step]
        if kind == "full":
            self.sums.clear()
            self.ring.begin(step)
            v = self.seam.full(step, x, emit=self.ring.write, names=self.names)
            self.ring.close(exact=self.seam.exact)
            self.absorbed()
            return kind, v
        if step not in self.sums:
            self.sums = self._ahead(step)
        return kind, self.granularity.velocity(self.seam, step, x, self.sums.pop(step))

    def absorbed(self) -> None:
        """A full step is in the ring."""

    def weights(self, step: int) -> Tensor:
        """(F, J, B) over the usable anchors, newest first; axes of length 1 stand for equal weights."""
        return torch.tensor(self.strategy.weights(*self.positions(step)), dtype=torch.float64)[None, :, None]

    def positions(self, step: int) -> tuple[list[float], float]:
        """The usable anchors, newest first, and the step, on the strategy's clock."""
        full = self.ring.steps
        length = ladder_length(full, max_order=self.strategy.max_order, first_enhance=self.strategy.first_enhance)
        usable = length if self.ring.exact else 1
        *anchors, at = [CLOCKS[self.strategy.clock](self.seam.times, s) for s in [*full[:usable], step]]
        return anchors, at

    def feature(self, step: int, name: str) -> Tensor:
        """The forecast of one feature at a step after the newest anchor, on its own and without its gate."""
        f = self.names.index(name)
        memory = self.ring.memory[:, f : f + 1]
        weights = self._for_slots([step])[:, [f]]
        return forecast_sums(memory.to(weights.device), weights)[0]

    def _ahead(self, step: int) -> dict[int, Tensor]:
        steps = list(takewhile(lambda s: self.plan[s] != "full", range(step, len(self.plan))))
        first = self._forecasts.index(step)
        gates = self._gates[first : first + len(steps)] if self.granularity.gated else None
        return dict(zip(steps, forecast_sums(self.ring.memory, self._for_slots(steps), gates), strict=True))

    def _for_slots(self, steps: Sequence[int]) -> Tensor:
        """(S, F, J, B) for the ring's memory, on the seam's device."""
        memory = self.ring.memory
        weights = torch.stack([self.weights(step) for step in steps])
        weights = weights.expand(-1, memory.shape[1], -1, memory.shape[2])
        by_slot = self.ring.by_slot(weights).to(self.seam.wide)
        if self.seam.device.type == "cuda" and not by_slot.is_cuda:
            by_slot = by_slot.pin_memory()  # a copy that waits for the full step would leave every forecast to the host
        return by_slot.to(self.seam.device, non_blocking=True)

    @cached_property
    def _forecasts(self) -> list[int]:
        return [step for step, kind in enumerate(self.plan) if kind != "full"]

    @cached_property
    def _gates(self) -> Tensor:
        """Of every forecast step, at once: (S, F, B, D)."""
        return self.seam.gates(self._forecasts)
