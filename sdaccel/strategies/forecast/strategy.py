"""Forecast the features of skipped denoising steps: TaylorSeer (arXiv 2503.06923), HiCache (arXiv 2508.16984).

N interval · O max_order · fe first_enhance · sigma hicache_scale · k steps since the last full step
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from sdaccel.errors import BadInput
from sdaccel.generators.flux.seam import DenoiseSeam
from sdaccel.registry import configurable
from sdaccel.strategies.forecast.anchors import AnchorRing, weighted_sum
from sdaccel.strategies.forecast.plan import full_steps, ladder_length
from sdaccel.strategies.forecast.weights import forecast_weights, hermite_coefficients, taylor_coefficients


@dataclass(frozen=True)
class Forecast:
    """Full steps at {0 .. fe-1} and every N-th after; between them features follow from the last O + 1 full steps."""

    interval: int = 6
    """Distance N of full steps; 1 makes every step full."""
    max_order: int = 2
    """Highest difference O that is used; 0 holds the last features."""
    first_enhance: int = 3
    """The first steps that all run in full."""

    @property
    def seam(self) -> str | None:
        return "denoise"

    def check(self, steps: int) -> None:
        for name, low in (("interval", 1), ("max_order", 0), ("first_enhance", 1)):
            if getattr(self, name) < low:
                raise BadInput(f"strategy.{name}={getattr(self, name)} must be at least {low}.")

    def plan(self, steps: int) -> list[str]:
        full = full_steps(steps, interval=self.interval, first_enhance=self.first_enhance)
        return ["full" if runs else "forecast" for runs in full]

    def coefficients(self, k: float, *, order: int) -> list[float]:
        """c_0 .. c_order in F(k) = sum_i c_i L_i."""
        raise TypeError(f"{type(self).__name__} must define its coefficients")

    def ring(self) -> AnchorRing:
        """Room for the raw anchors of one generation."""
        return AnchorRing(self.max_order + 1)

    def start(self, seam: DenoiseSeam, *, steps: int) -> "ForecastRule":
        return ForecastRule(self, seam, plan=self.plan(steps), ring=self.ring())


@configurable(group="strategy", name="taylor")
@dataclass(frozen=True)
class Taylor(Forecast):
    """TaylorSeer: k^i / i! on the i-th difference quotient."""

    def coefficients(self, k: float, *, order: int) -> list[float]:
        return taylor_coefficients(k, order=order)


@configurable(group="strategy", name="hicache")
@dataclass(frozen=True)
class HiCache(Forecast):
    """HiCache: scaled Hermite polynomials in place of monomials."""

    hicache_scale: float = 0.5
    """sigma: contracts the polynomials' argument and values; 1/sqrt(2) at order 1 is Taylor."""

    def check(self, steps: int) -> None:
        super().check(steps)
        if not 0 < self.hicache_scale <= 1:
            raise BadInput(f"strategy.hicache_scale={self.hicache_scale} must lie in (0, 1].")

    def coefficients(self, k: float, *, order: int) -> list[float]:
        return hermite_coefficients(k, order=order, scale=self.hicache_scale)


class ForecastRule:
    """One generation: its plan and its anchors."""

    def __init__(self, strategy: Forecast, seam: DenoiseSeam, *, plan: Sequence[str], ring: AnchorRing) -> None:
        self.strategy = strategy
        self.seam = seam
        self.plan = plan
        self.ring = ring

    def velocity(self, step: int, x: Tensor) -> tuple[str, Tensor]:
        kind = self.plan[step]
        if kind == "full":
            self.ring.begin(step)
            return kind, self.seam.full(step, x, emit=self.ring.write)
        return kind, self.seam.from_features(step, x, partial(self.feature, step))

    def feature(self, step: int, name: str) -> Tensor:
        """The forecast of one feature at a step after the newest anchor."""
        s = self.strategy
        usable = ladder_length(self.ring.steps, max_order=s.max_order, first_enhance=s.first_enhance)
        weights = forecast_weights(self.ring.steps[:usable], step, s.coefficients)
        return weighted_sum(self.ring.anchors(name)[:usable], weights)
