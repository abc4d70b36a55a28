"""Forecast the features of skipped denoising steps: one mode is one choice of weights over the last full steps.

TaylorSeer (arXiv 2503.06923), HiCache (arXiv 2508.16984), FORA (arXiv 2407.01425), delta-DiT (arXiv 2406.01125)
O max_order · sigma hicache_scale · k steps since the last full step
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sdaccel.errors import BadInput
from sdaccel.generators.flux.seam import DenoiseSeam
from sdaccel.strategies.base import strategy
from sdaccel.strategies.forecast.adaptive import AnalyticForecastRule
from sdaccel.strategies.forecast.analytic import AnalyticRule
from sdaccel.strategies.forecast.base import Forecast
from sdaccel.strategies.forecast.checks import check_analytic, check_scale
from sdaccel.strategies.forecast.weights import (
    damped_coefficients,
    hermite_coefficients,
    newton_weights,
    taylor_coefficients,
    taylor_scaled_coefficients,
)


@strategy(name="taylor")
@dataclass(frozen=True)
class Taylor(Forecast):
    """TaylorSeer: k^i / i! on the i-th difference quotient."""

    def coefficients(self, k: float, *, order: int) -> list[float]:
        return taylor_coefficients(k, order=order)


@dataclass(frozen=True)
class Scaled(Forecast):
    """A mode with a sigma."""

    hicache_scale: float = 0.5
    """sigma: contracts the polynomials' argument and values; 1/sqrt(2) at order 1 is Taylor."""

    def check(self, steps: int) -> None:
        super().check(steps)
        check_scale(self.hicache_scale)


@strategy(name="hicache")
@dataclass(frozen=True)
class HiCache(Scaled):
    """HiCache: scaled Hermite polynomials in place of monomials."""

    def coefficients(self, k: float, *, order: int) -> list[float]:
        return hermite_coefficients(k, order=order, scale=self.hicache_scale)


@strategy(name="taylor_scaled")
@dataclass(frozen=True)
class TaylorScaled(Scaled):
    """HiCache's reference code, mode Taylor-Scaled: sigma^2i k^i / i!."""

    def coefficients(self, k: float, *, order: int) -> list[float]:
        return taylor_scaled_coefficients(k, order=order, scale=self.hicache_scale)


@strategy(name="damped_taylor")
@dataclass(frozen=True)
class DampedTaylor(Scaled):
    """The control of HiCache: Taylor, damped as the leading terms of HiCache's polynomials are."""

    def coefficients(self, k: float, *, order: int) -> list[float]:
        return damped_coefficients(k, order=order, scale=self.hicache_scale)


@strategy(name="hicache_analytic")
@dataclass(frozen=True)
class HiCacheAnalytic(Forecast, AnalyticRule):
    """HiCache with a sigma per layer and picture, from the size of the layer's slope."""

    def check(self, steps: int) -> None:
        super().check(steps)
        check_analytic(self)

    def start(self, seam: DenoiseSeam, *, steps: int) -> AnalyticForecastRule:
        return AnalyticForecastRule(self, seam, plan=self.plan(steps), adapts=self)


@strategy(name="newton")
@dataclass(frozen=True)
class Newton(Forecast):
    """The polynomial through the last O + 1 anchors, exact on any spacing."""

    def weights(self, anchors: Sequence[float], at: float) -> list[float]:
        return newton_weights(anchors, at)


@strategy(name="fora")
@dataclass(frozen=True)
class Fora(Forecast):
    """FORA: features are held until the next full step."""

    max_order: int = 0
    first_enhance: int = 1

    def check(self, steps: int) -> None:
        super().check(steps)
        if self.max_order:
            raise BadInput(f"strategy.max_order={self.max_order}: this mode holds features as they are; use strategy=taylor.")

    def coefficients(self, k: float, *, order: int) -> list[float]:
        return taylor_coefficients(k, order=order)


@strategy(name="delta")
@dataclass(frozen=True)
class Delta(Fora):
    """delta-DiT on FLUX: the double blocks run, what the single stack adds is held."""

    interval: int = 3
    granularity: str = "singles"
