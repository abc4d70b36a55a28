"""Options of a forecasting strategy that cannot work, or can only be a mistake, are refused before anything runs."""

import math
from typing import TYPE_CHECKING, Any

from sdaccel.errors import BadInput, at_least
from sdaccel.generators.flux.solvers import EULER, SOLVERS
from sdaccel.strategies.base import Excludes
from sdaccel.strategies.forecast.analytic import AnalyticRule
from sdaccel.strategies.forecast.clock import CLOCKS
from sdaccel.strategies.forecast.granularity import GRANULARITIES
from sdaccel.strategies.forecast.plan import ladder_length

if TYPE_CHECKING:
    from sdaccel.strategies.forecast.base import Forecast

FEW_STEPS = 4
"""What distilled models take; neighbouring steps of so few have little in common."""
NOT_PUBLISHED = (
    "evaluates the model where no published forecast was made for: they step along Euler's grid; write generator.solver=euler"
)
UNDER_EULER = tuple(Excludes("solver", name, NOT_PUBLISHED) for name in SOLVERS if name != EULER)
"""What a strategy that forecasts declares."""
ANCHOR_DTYPES = ("same", "float32", "bfloat16")


def check_schedule(strategy: Any) -> None:
    """What decides the full steps, and the order."""
    at_least(1, strategy, "interval", "first_enhance", where="strategy")
    at_least(0, strategy, "max_order", where="strategy")


def check_options(strategy: "Forecast") -> None:
    """Each value on its own."""
    check_schedule(strategy)
    for name, known in (("granularity", GRANULARITIES), ("clock", CLOCKS), ("anchor_dtype", ANCHOR_DTYPES)):
        if getattr(strategy, name) not in known:
            raise BadInput(f"strategy.{name}={getattr(strategy, name)} is unknown; choose one of {', '.join(known)}.")


def check_scale(scale: float) -> None:
    """sigma contracts; beyond 1 the polynomials only grow."""
    if not 0 < scale <= 1:
        raise BadInput(f"strategy.hicache_scale={scale} must lie in (0, 1].")


def check_analytic(rule: AnalyticRule) -> None:
    """Reject values outside the domain of the formula's square roots and logarithms."""
    for name in ("alpha", "sigma_max", "epsilon"):
        if not 0 < getattr(rule, name) < math.inf:
            raise BadInput(f"strategy.{name}={getattr(rule, name)} must be above 0 and finite.")
    for name in ("beta", "smooth", "q_quantile"):
        value = getattr(rule, name)
        if value is not None and not 0 <= value <= 1:
            raise BadInput(f"strategy.{name}={value} must lie in [0, 1].")


def check_plan(strategy: "Forecast", steps: int) -> None:
    """A strategy that is asked to skip must find steps to skip, and an order must be one that some forecast uses."""
    first_enhance, order = strategy.first_enhance, strategy.max_order
    plan = strategy.plan(steps)
    full = [step for step, kind in enumerate(plan) if kind == "full"]
    skipped = [step for step, kind in enumerate(plan) if kind != "full"]
    if strategy.interval > 1 and steps and not skipped:
        raise BadInput(
            f"strategy.first_enhance={first_enhance} leaves none of generator.num_steps={steps} to forecast: where there are "
            "few steps they are too far apart; use strategy=original."
        )
    if skipped and steps <= FEW_STEPS:
        raise BadInput(
            f"generator.num_steps={steps} is too few to forecast any: from one step of a few-step model to the next features "
            f"change too much; use strategy=original, or a model that takes more than {FEW_STEPS} steps."
        )
    if skipped:
        before = [step for step in full if step < skipped[-1]]
        reached = ladder_length(before, max_order=order, first_enhance=first_enhance) - 1
        if reached < order:
            raise BadInput(
                f"strategy.max_order={order} is never reached: {len(before)} of {steps} steps are full before the last one, "
                f"enough for order {reached}; write strategy.max_order={reached}."
            )
