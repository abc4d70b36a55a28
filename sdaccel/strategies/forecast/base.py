"""What all forecasting strategies share: which steps are full, what is kept of them and how a forecast weighs it.

N interval · O max_order · fe first_enhance · k steps since the last full step
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from sdaccel.generators.base import DTYPES, Cost
from sdaccel.generators.flux.seam import DenoiseSeam
from sdaccel.strategies.base import Alone, Declares
from sdaccel.strategies.forecast.anchors import AnchorRing
from sdaccel.strategies.forecast.checks import UNDER_EULER, check_options, check_plan
from sdaccel.strategies.forecast.granularity import GRANULARITIES
from sdaccel.strategies.forecast.plan import full_steps
from sdaccel.strategies.forecast.rule import ForecastRule
from sdaccel.strategies.forecast.weights import forecast_weights


@dataclass(frozen=True)
class Forecast(Alone):
    """Full steps at {0 .. fe-1} and every N-th after; between them features follow from the last O + 1 full steps."""

    interval: int = 6
    """Distance N of full steps; 1 makes every step full."""
    max_order: int = 2
    """Highest difference O that is used; 0 holds the last features."""
    first_enhance: int = 3
    """The first steps that all run in full."""
    granularity: str = "module"
    """What is forecast: module (as published), block, trunk (all blocks together), singles (the doubles run), output."""
    clock: str = "step"
    """Axis of the extrapolation: step (as published), or time in units of the mean step."""
    anchor_dtype: str = "same"
    """Number format of what is kept: same as the features, float32, bfloat16."""
    offload: bool = False
    """Keep it in the host's pinned memory; on a CPU it is there already and this changes nothing."""

    declares: ClassVar[Declares] = Declares(seam="denoise", exact=False, excludes=UNDER_EULER)

    def check(self, steps: int) -> None:
        check_options(self)
        check_plan(self, steps)

    def plan(self, steps: int) -> list[str]:
        full = full_steps(steps, interval=self.interval, first_enhance=self.first_enhance)
        return ["full" if runs else GRANULARITIES[self.granularity].kind for runs in full]

    def coefficients(self, k: float, *, order: int) -> list[float]:
        """c_0 .. c_order in F(k) = sum_i c_i L_i."""
        raise TypeError(f"{type(self).__name__} must define its coefficients")

    def weights(self, anchors: Sequence[float], at: float) -> list[float]:
        """w_j of every anchor, newest first, from their positions and that of the step."""
        return forecast_weights(anchors, at, self.coefficients)

    def ring(self, names: Sequence[str]) -> AnchorRing:
        """Room for the raw anchors of one generation."""
        return AnchorRing(self.max_order + 1, names, dtype=DTYPES.get(self.anchor_dtype), offload=self.offload)

    def state_bytes(self, cost: Cost, itemsize: int) -> int:
        """Anchors and sums of one sample."""
        kept = DTYPES[self.anchor_dtype].itemsize if self.anchor_dtype in DTYPES else itemsize
        one_sum = cost.features["output" if self.granularity == "output" else "trunk"]
        return (self.max_order + 1) * cost.features[self.granularity] * kept + (self.interval - 1) * one_sum * max(itemsize, 4)

    def start(self, seam: DenoiseSeam, *, steps: int) -> ForecastRule:
        return ForecastRule(self, seam, plan=self.plan(steps))
