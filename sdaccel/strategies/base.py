"""What the frame may ask of a strategy, a backend and a rule, and how they are registered.

A strategy decides which steps of a generation run, a backend how an operator computes; a rule is what a strategy makes for one
generation. A strategy declares what cannot be seen from outside, so that a study is checked, priced and read without knowing
any strategy by class. What is promised here is checked when a class is registered.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, runtime_checkable

import numpy as np
from torch import Tensor

from sdaccel.conditions import Condition
from sdaccel.errors import BadInput
from sdaccel.generators.base import Cost, Tells
from sdaccel.registry import configurable, name_of

if TYPE_CHECKING:
    from sdaccel.generators.flux.operators import Operators


@dataclass(frozen=True)
class Excludes:
    """An option of the generator that a strategy cannot run beside."""

    option: str
    value: Any
    because: str
    """The rest of a sentence that begins with option=value: the reason, and after a semicolon the fix."""


@dataclass(frozen=True, kw_only=True)
class Declares:
    """What a strategy says of itself."""

    seam: str | None
    """The seam it attaches to: `denoise` or `scales`; None: it attaches nowhere."""
    exact: bool
    """The samples, or their distribution, are the generator's own."""
    beside: tuple[str, ...] = ()
    """Options that hold the configuration of a further model, which runs beside the generator."""
    stats: tuple[str, ...] = ()
    """Names of what its rule may count or measure of a sample."""
    arrays: tuple[str, ...] = ()
    """Names of what its rule may keep of a sample."""
    excludes: tuple[Excludes, ...] = ()


class Rule(Tells, Protocol):
    """What a strategy made for one generation. Its seam says what else it does: a velocity a step, a scale, or all of them."""


class Untold:
    """A rule with nothing to tell."""

    def stats(self) -> dict[str, Tensor]:
        return {}

    def arrays(self) -> dict[str, Tensor]:
        return {}


@dataclass(frozen=True)
class Done:
    """One sample as it was made, for its price."""

    steps: Sequence[float]
    """Multiply-accumulates of every step as the backend ran it."""
    cost: Cost
    """The generator's."""
    beside: Mapping[str, Cost]
    """Those of the models beside it, by option."""
    stats: Mapping[str, Any]
    """What the rule said of the sample."""


@dataclass(frozen=True)
class Foreseen:
    """What one sample is expected to take where its own course decides: an estimate, for the plan alone."""

    macs: float
    says: str
    """In place of a drawn plan, with what was taken for granted."""


class Strategy(Protocol):
    """A frozen dataclass under `@strategy(name=...)`. `Alone` has what most do not need to say anew."""

    declares: ClassVar[Declares]

    def check(self, steps: int) -> None:
        """Raise BadInput for options that make no sense over so many steps."""
        ...

    def fits(self, generator: Any, conditions: Sequence[Condition]) -> None:
        """Raise BadInput for options, or models beside, that do not go with this generator."""
        ...

    def models(self, generator: Any) -> dict[str, Any]:
        """Configurations of the models beside this generator, by option."""
        ...

    def plan(self, steps: int) -> list[str]:
        """The kind of every step, as far as it is known beforehand."""
        ...

    def foreseen(self, cost: Cost, beside: Mapping[str, Cost]) -> Foreseen | None:
        """What the plan cannot tell; None where it tells all."""
        ...

    def macs(self, done: Done) -> float:
        """Multiply-accumulates of one sample."""
        ...

    def state_bytes(self, cost: Cost, itemsize: int) -> int:
        """What it keeps of one sample of a generator of this cost, at so many bytes a number."""
        ...

    def start(self, seam: Any, *, steps: int) -> Rule | None:
        """The rule of one generation; None does what the generator does alone. With models beside, `models` is given too."""
        ...


@dataclass(frozen=True)
class Wanted:
    """A measurement that a study makes before it begins, on samples that it does not look at."""

    by: Any
    """The strategy that measures."""
    samples: int


@runtime_checkable
class Calibrated(Protocol):
    """A strategy that may have something measured on its model first."""

    def wants(self) -> Wanted | None:
        """None: it has all it needs."""
        ...

    def given(self, generator: Any, found: Mapping[str, np.ndarray]) -> Any:
        """The strategy as it is once the arrays of the one that measures are known, means over its samples."""
        ...


class Alone:
    """What a strategy is that runs no model beside the generator, pays for its plan and keeps nothing."""

    def fits(self, generator: Any, conditions: Sequence[Condition]) -> None:
        """Goes with every generator of its seam."""

    def models(self, generator: Any) -> dict[str, Any]:
        return {}

    def foreseen(self, cost: Cost, beside: Mapping[str, Cost]) -> Foreseen | None:
        return None

    def macs(self, done: Done) -> float:
        return sum(done.steps)

    def state_bytes(self, cost: Cost, itemsize: int) -> int:
        return 0


class Backend(Protocol):
    """A frozen dataclass under `@backend(name=...)`."""

    def check(self, generator: Any) -> None:
        """Raise BadInput for options that do not go with this generator."""
        ...

    def macs(self, generator: Any, cost: Cost, kinds: Sequence[str]) -> list[float]:
        """Multiply-accumulates of every step of one sample, whose kinds are these."""
        ...

    def state_bytes(self, generator: Any, itemsize: int) -> int:
        """What one sample's operators remember between steps."""
        ...

    def start(self, *, layers: int, grid: Sequence[int], seeds: Tensor) -> "Operators | None":
        """The operators of one generation over so many layers; None leaves the generator's own."""
        ...


@dataclass(frozen=True)
class Equipped:
    """A strategy with its built models, as a generator takes it."""

    strategy: Any
    models: Mapping[str, Any]

    @property
    def declares(self) -> Declares:
        declared: Declares = self.strategy.declares
        return declared

    def start(self, seam: Any, *, steps: int) -> Rule:
        rule: Rule = self.strategy.start(seam, steps=steps, models=self.models)
        return rule


S = TypeVar("S", bound=type)


def strategy(*, name: str) -> Callable[[S], S]:
    """Register a strategy that keeps the contract."""
    return configurable(group="strategy", name=name, keeps=_check_strategy)


def backend(*, name: str) -> Callable[[S], S]:
    """Register a backend that keeps the contract."""
    return configurable(group="backend", name=name, keeps=lambda of, cls: _check_members("backend", of, cls, Backend))


def _check_strategy(name: str, cls: type) -> None:
    declared = getattr(cls, "declares", None)
    if not isinstance(declared, Declares):
        raise TypeError(f"strategy {name} lacks declares: write `declares: ClassVar[Declares] = Declares(seam=..., exact=...)`")
    _check_members("strategy", name, cls, Strategy)
    if unknown := set(declared.beside) - set(getattr(cls, "__dataclass_fields__", {})):
        raise TypeError(f"strategy {name} declares a model beside under {min(unknown)}, which is no option of it")
    if declared.beside and cls.models is Alone.models:  # type: ignore[attr-defined]
        raise TypeError(f"strategy {name} declares models beside and lacks models()")


def _check_members(kind: str, name: str, cls: type, contract: type) -> None:
    members = [member for member, value in vars(contract).items() if callable(value) and not member.startswith("_")]
    if missing := [member for member in members if not callable(getattr(cls, member, None))]:
        raise TypeError(f"{kind} {name} lacks {', '.join(missing)}; see {contract.__name__} in sdaccel.strategies.base")


def check_declared(where: str, strategy: Any, generator: Any) -> None:
    """Raise BadInput where what a strategy declares does not go with the generator."""
    declared = strategy.declares
    if declared.seam not in (None, generator.seam):
        raise BadInput(
            f"{where}: strategy {name_of(strategy)} attaches to {declared.seam}, but generator {name_of(generator)} offers "
            f"{generator.seam or 'none'}; choose another strategy or generator."
        )
    for each in declared.excludes:
        if getattr(generator, each.option, None) == each.value:
            raise BadInput(f"{where}: generator.{each.option}={each.value} {each.because}.")
